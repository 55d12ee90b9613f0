/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory. Whoever looks into the queues holds all of them at the fork gate; control calls are made outside it, so
 * what an answer is for is looked for again: the queue or the memory may have gone, and then the daemon is told so.
 *
 * What is gone is told later where it cannot be told at once: a queue may end with its thread, which must not block. */
#include "config.h"

#include "lib/core/registration.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "lib/core/fork.h"
#include "lib/core/queue.h"

/* A control plane that does not answer, or a region that the daemon's engine still works on, holds up who unregisters, and the
 * worker, for so long. */
#define TELL_NS (2 * ROS2I_NS_PER_S)
/* Regions that the worker tells of before it looks at its other work. */
#define TELL_MOST 16u

/* What the daemon is to be told of. */
struct report {
    uint64_t ticket;
    uint64_t len;
    uint32_t queue;
    unsigned rights;
    uint8_t nonce[ROS2I_NONCE_LEN];
    uint8_t key[ROS2_TRANSPORT_KEY_MAX];
    size_t key_len;
};

/* -- with all queues at the gate, or with the lock and a queue that nobody else knows -- */

/* In front: those that came before are told first. */
static void add_stale(struct ros2_client *client, uint64_t id)
{
    struct ros2i_registrations *all = &client->registrations;
    if (id == 0)
        return;
    if (all->stale_count == all->stale_capacity) {
        size_t capacity = all->stale_capacity ? 2 * all->stale_capacity : 16;
        uint64_t *grown = realloc(all->stale, capacity * sizeof(*grown));
        if (!grown)
            return; /* the daemon keeps it until the session ends */
        all->stale = grown;
        all->stale_capacity = capacity;
    }
    memmove(all->stale + 1, all->stale, all->stale_count++ * sizeof(*all->stale));
    all->stale[0] = id;
}

static int add(struct ros2i_queue *queue, const struct ros2i_registration *registration)
{
    ros2i_channel_lend(queue->channel, true);
    int rc = ros2i_registered_add(queue->channel, registration->serial, registration->addr,
                                  registration->len, registration->rights);
    ros2i_channel_lend(queue->channel, false);
    return rc;
}

static void remove_from(struct ros2i_queue *queue, uint64_t serial)
{
    struct ros2i_registered *entry = ros2i_registered_of(queue->channel, serial);
    if (!entry)
        return;
    add_stale(queue->client, entry->id);
    add_stale(queue->client, entry->old_id);
    ros2i_channel_lend(queue->channel, true);
    ros2i_registered_remove(queue->channel, entry);
    ros2i_channel_lend(queue->channel, false);
}

static bool fill_report(struct ros2i_queue *queue, struct ros2i_registered *entry,
                        struct report *report)
{
    struct ros2i_channel *ch = queue->channel;
    ros2i_channel_lend(ch, true);
    int len = ch->ops->region_pack(entry->region, report->key, sizeof(report->key));
    ros2i_channel_lend(ch, false);
    if (len < 0)
        return false;
    report->key_len = (size_t)len;
    report->ticket = entry->ticket;
    report->len = entry->len;
    report->rights = entry->rights;
    report->queue = queue->number;
    memcpy(report->nonce, queue->client->nonce, sizeof(report->nonce));
    return true;
}

static bool has_unasked(const struct ros2_client *client, uint64_t serial)
{
    bool any = false;
    for (struct ros2i_queue *queue = client->queues; queue && !any; queue = queue->next)
        any = ros2i_registered_unasked(queue->channel, serial) != NULL;
    return any;
}

/* false: there is nothing to tell of it. */
static bool report_of(struct ros2_client *client, uint64_t serial, struct report *report)
{
    struct ros2i_registered *entry;
    for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next) {
        while ((entry = ros2i_registered_unasked(queue->channel, serial)) != NULL) {
            entry->asked = true;
            entry->ticket = ++client->registrations.last_ticket;
            if (fill_report(queue, entry, report))
                return true;
        }
    }
    return false;
}

/* serial 0: of any registration, but those whose _begin() is under way and tells of them itself. */
static bool next_report(struct ros2_client *client, uint64_t serial, struct report *report)
{
    const struct ros2i_registration *r = client->registrations.first;
    if (serial != 0)
        return report_of(client, serial, report);
    if (report_of(client, ROS2I_REGISTERED_POOL, report))
        return true;
    while (r && !(r->published && report_of(client, r->serial, report)))
        r = r->next;
    return r != NULL;
}

/* Renewed regions: the old ones first, since there may be room for no more. */
static void collect_old(struct ros2_client *client)
{
    for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next) {
        struct ros2i_registered_table *table = &queue->channel->registered;
        for (size_t i = 0; i < table->count; i++) {
            add_stale(client, table->entry[i]->old_id);
            table->entry[i]->old_id = 0;
        }
    }
}

static struct ros2i_registered *find_asked(const struct ros2_client *client, uint64_t ticket)
{
    struct ros2i_registered *entry = NULL;
    for (struct ros2i_queue *queue = client->queues; queue && !entry; queue = queue->next)
        entry = ros2i_registered_by_ticket(queue->channel, ticket);
    return entry;
}

static bool is_published(const struct ros2_client *client, uint64_t serial)
{
    const struct ros2i_registration *r = client->registrations.first;
    while (r && r->serial != serial)
        r = r->next;
    return r && r->published;
}

static struct ros2i_channel *channel_of_pool(const struct ros2_client *client,
                                             const struct ros2i_registered *entry)
{
    const struct ros2i_queue *queue = client->queues;
    while (queue->channel->pool != entry)
        queue = queue->next;
    return queue->channel;
}

/* Operations may have waited for it. */
static void name_pool(struct ros2_client *client, struct ros2i_registered *entry)
{
    entry->named = true;
    ros2i_channel_wake(channel_of_pool(client, entry));
}

/* Its owner asks again, if an operation waits. */
static void refuse_pool(struct ros2_client *client, struct ros2i_registered *entry)
{
    entry->refused = true;
    ros2i_channel_wake(channel_of_pool(client, entry));
}

static void take_answer(struct ros2_client *client, uint64_t ticket, uint64_t id)
{
    struct ros2i_registered *entry = find_asked(client, ticket);
    if (!entry) {
        add_stale(client, id);
        return;
    }
    entry->id = id;
    if (entry->serial == ROS2I_REGISTERED_POOL)
        name_pool(client, entry);
    else
        entry->named = is_published(client, entry->serial);
}

/* A refusal stays one; what may have another cause is asked again when the daemon is told of something next. */
static void take_error(struct ros2_client *client, uint64_t ticket, int error)
{
    struct ros2i_registered *entry = find_asked(client, ticket);
    if (entry && entry->serial == ROS2I_REGISTERED_POOL)
        refuse_pool(client, entry);
    else if (entry && error != -EDQUOT)
        entry->asked = false;
}

static void publish(struct ros2_client *client, struct ros2i_registration *registration)
{
    registration->published = true;
    for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next) {
        struct ros2i_registered *entry = ros2i_registered_of(queue->channel, registration->serial);
        if (entry)
            entry->named = entry->id != 0;
    }
}

/* -- telling the daemon -- */

static bool take_stale(struct ros2_client *client, uint64_t *id_p)
{
    struct ros2i_registrations *all = &client->registrations;
    pthread_mutex_lock(&client->lock);
    bool any = all->stale_count > 0;
    if (any)
        *id_p = all->stale[--all->stale_count];
    pthread_mutex_unlock(&client->lock);
    return any;
}

static int tell_stale(struct ros2_client *client, uint64_t deadline_ns)
{
    uint64_t id;
    if (!take_stale(client, &id))
        return 0;
    int rc = ros2i_control_unregister(client->control, id, deadline_ns);
    if (rc == 0 || rc == -ENOENT)
        return 1;
    ros2i_log(ROS2_LOG_INFO, "core", "the daemon is told later that a region is gone: %s",
              ros2i_error());
    pthread_mutex_lock(&client->lock);
    add_stale(client, id);
    pthread_mutex_unlock(&client->lock);
    return rc;
}

/* One region. 1: there may be more, 0: there are none. */
static int tell_new(struct ros2_client *client, uint64_t serial, uint64_t deadline_ns)
{
    struct report report;
    ros2i_fork_stop();
    bool any = next_report(client, serial, &report);
    ros2i_fork_go_on();
    if (!any)
        return 0;
    uint64_t id;
    int rc = ros2i_control_register(client->control, report.nonce, report.queue, report.len,
                                    ROS2_MEMORY_HOST, report.rights, client->ops->name, report.key,
                                    report.key_len, deadline_ns, &id);
    ros2i_wipe(report.key, sizeof(report.key));
    ros2i_fork_stop();
    if (rc < 0)
        take_error(client, report.ticket, rc);
    else
        take_answer(client, report.ticket, id);
    ros2i_fork_go_on();
    return rc < 0 ? rc : 1;
}

/* Each once: one that cannot be told now does not hold up the others. */
static void tell_all_stale(struct ros2_client *client)
{
    pthread_mutex_lock(&client->lock);
    size_t left = client->registrations.stale_count;
    pthread_mutex_unlock(&client->lock);
    uint64_t until_ns = ros2i_now_ns() + 2 * TELL_NS;
    for (; left > 0 && ros2i_now_ns() < until_ns; left--)
        if (tell_stale(client, ros2i_now_ns() + TELL_NS) == 0)
            return;
}

static bool is_ending(struct ros2_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool ending = client->worker.stopping;
    pthread_mutex_unlock(&client->lock);
    return ending;
}

/* -- interface -- */

static int add_to_all(struct ros2_client *client, struct ros2i_registration *registration)
{
    struct ros2i_registrations *all = &client->registrations;
    int rc = 0;
    registration->serial = ++all->last_serial;
    registration->published = false;
    registration->next = all->first;
    all->first = registration;
    for (struct ros2i_queue *queue = client->queues; queue && rc == 0; queue = queue->next)
        rc = add(queue, registration);
    return rc;
}

/* Until the daemon knows it on all queues, those included that were made meanwhile; then it may be named. Or an error. */
static int tell_and_publish(struct ros2_client *client, struct ros2i_registration *registration,
                            uint64_t deadline_ns)
{
    int rc;
    bool over = false;
    while (!over) {
        while ((rc = tell_new(client, registration->serial, deadline_ns)) > 0)
            ;
        if (rc < 0)
            return rc;
        ros2i_fork_stop();
        over = !has_unasked(client, registration->serial);
        if (over)
            publish(client, registration);
        ros2i_fork_go_on();
    }
    return 0;
}

/* Its text is kept: what follows may have another. */
static int give_up(struct ros2_client *client, struct ros2i_registration *registration, int rc)
{
    char text[ROS2I_ERROR_MAX];
    strcpy(text, ros2i_error());
    ros2i_fork_stop();
    ros2i_registration_withdraw(client, registration);
    ros2i_fork_go_on();
    ros2i_registration_tell_later(client);
    return ros2i_fail(-rc, "%s", text);
}

static int begin(struct ros2_client *client, struct ros2i_registration *registration,
                 uint64_t deadline_ns)
{
    ros2i_fork_stop();
    int rc = add_to_all(client, registration);
    ros2i_fork_go_on();
    if (rc == 0)
        rc = tell_and_publish(client, registration, deadline_ns);
    return rc < 0 ? give_up(client, registration, rc) : 0;
}

int ros2i_registration_begin(struct ros2_client *client, struct ros2i_registration *registration,
                             uint64_t deadline_ns)
{
    int rc = begin(client, registration, deadline_ns);
    if (rc != -EDQUOT)
        return rc;
    /* Regions that are gone may still be counted. */
    ros2i_registration_tell_gone(client);
    return begin(client, registration, deadline_ns);
}

void ros2i_registration_withdraw(struct ros2_client *client,
                                 const struct ros2i_registration *registration)
{
    struct ros2i_registration **link = &client->registrations.first;
    while (*link && *link != registration)
        link = &(*link)->next;
    if (!*link)
        return; /* it is another process's: made before a fork */
    *link = registration->next;
    for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next)
        remove_from(queue, registration->serial);
}

void ros2i_registration_tell_gone(struct ros2_client *client)
{
    ros2i_fork_stop();
    collect_old(client);
    ros2i_fork_go_on();
    tell_all_stale(client);
}

void ros2i_registration_add_queue(struct ros2i_queue *queue)
{
    struct ros2_client *client = queue->client;
    for (struct ros2i_registration *r = client->registrations.first; r; r = r->next)
        add(queue, r);
    if (client->registrations.first || queue->channel->pool)
        ros2i_worker_tell(client);
}

void ros2i_registration_tell_later(struct ros2_client *client)
{
    pthread_mutex_lock(&client->lock);
    ros2i_worker_tell(client);
    pthread_mutex_unlock(&client->lock);
}

void ros2i_registration_tell(struct ros2_client *client)
{
    unsigned told = 0;
    int rc = 1;
    /* Operations may wait for these, and a region that is gone may still be in use for long. */
    while (!is_ending(client) &&
           tell_new(client, ROS2I_REGISTERED_POOL, ros2i_now_ns() + TELL_NS) > 0)
        ;
    ros2i_registration_tell_gone(client);
    while (rc > 0 && told < TELL_MOST && !is_ending(client)) {
        rc = tell_new(client, 0, ros2i_now_ns() + TELL_NS);
        if (rc == -EDQUOT) /* the next may have room */
            rc = 1;
        told++;
    }
    if (rc < 0)
        ros2i_log(ROS2_LOG_INFO, "core", "the daemon is told of registered memory later: %s",
                  ros2i_error());
    if (rc > 0)
        ros2i_registration_tell_later(client);
}

void ros2i_registration_drop_queue(struct ros2i_queue *queue)
{
    const struct ros2i_registered_table *table = &queue->channel->registered;
    for (size_t i = 0; i < table->count; i++) {
        add_stale(queue->client, table->entry[i]->id);
        add_stale(queue->client, table->entry[i]->old_id);
    }
}

void ros2i_registration_after_fork(struct ros2_client *client)
{
    client->registrations.stale_count = 0;
    client->registrations.first = NULL;
}

void ros2i_registration_forget(struct ros2_client *client)
{
    free(client->registrations.stale);
}
