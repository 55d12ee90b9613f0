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
    all->stale[all->stale_count++] = id;
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
    ros2i_channel_lend(queue->channel, true);
    add_stale(queue->client, ros2i_registered_remove(queue->channel, serial));
    ros2i_channel_lend(queue->channel, false);
}

static void unlink_from(struct ros2i_registrations *all,
                        const struct ros2i_registration *registration)
{
    struct ros2i_registration **link = &all->first;
    while (*link && *link != registration)
        link = &(*link)->next;
    if (*link) /* else it is another process's: made before a fork */
        *link = registration->next;
}

/* Returns false when there is nothing to tell. */
static bool next_report(struct ros2_client *client, struct report *report)
{
    for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next) {
        struct ros2i_channel *ch = queue->channel;
        struct ros2i_registered *entry = ros2i_registered_unasked(ch);
        if (!entry)
            continue;
        entry->asked = true;
        entry->ticket = ++client->registrations.last_ticket;
        ros2i_channel_lend(ch, true);
        int len = ch->ops->region_pack(entry->region, report->key, sizeof(report->key));
        ros2i_channel_lend(ch, false);
        if (len < 0)
            continue; /* stays unknown to the daemon */
        report->key_len = (size_t)len;
        report->ticket = entry->ticket;
        report->len = entry->len;
        report->rights = entry->rights;
        report->queue = queue->number;
        memcpy(report->nonce, client->nonce, sizeof(report->nonce));
        return true;
    }
    return false;
}

static void take_answer(struct ros2_client *client, uint64_t ticket, uint64_t id)
{
    for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next) {
        struct ros2i_registered *entry = ros2i_registered_by_ticket(queue->channel, ticket);
        if (entry) {
            entry->id = id;
            return;
        }
    }
    add_stale(client, id);
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

static void tell_stale(struct ros2_client *client, uint64_t deadline_ns)
{
    uint64_t id;
    while (take_stale(client, &id)) {
        int rc = ros2i_control_unregister(client->control, id, deadline_ns);
        if (rc == 0 || rc == -ENOENT)
            continue;
        ros2i_log(ROS2_LOG_INFO, "core", "the daemon is told later that a region is gone: %s",
                  ros2i_error());
        pthread_mutex_lock(&client->lock);
        add_stale(client, id);
        pthread_mutex_unlock(&client->lock);
        return;
    }
}

static int tell_new(struct ros2_client *client, uint64_t deadline_ns)
{
    struct report report;
    for (;;) {
        ros2i_fork_stop();
        bool any = next_report(client, &report);
        ros2i_fork_go_on();
        if (!any)
            return 0;
        uint64_t id;
        int rc = ros2i_control_register(client->control, report.nonce, report.queue, report.len,
                                        ROS2_MEMORY_HOST, report.rights, client->ops->name,
                                        report.key, report.key_len, deadline_ns, &id);
        ros2i_wipe(report.key, sizeof(report.key));
        if (rc < 0)
            return rc;
        ros2i_fork_stop();
        take_answer(client, report.ticket, id);
        ros2i_fork_go_on();
    }
}

/* -- interface -- */

static int add_to_all(struct ros2_client *client, const struct ros2i_registration *registration)
{
    int rc = 0;
    for (struct ros2i_queue *queue = client->queues; queue && rc == 0; queue = queue->next)
        rc = add(queue, registration);
    return rc;
}

int ros2i_registration_begin(struct ros2_client *client, struct ros2i_registration *registration,
                             uint64_t deadline_ns)
{
    struct ros2i_registrations *all = &client->registrations;
    tell_stale(client, deadline_ns);
    ros2i_fork_stop();
    registration->serial = ++all->last_serial;
    registration->next = all->first;
    all->first = registration;
    int rc = add_to_all(client, registration);
    ros2i_fork_go_on();
    if (rc == 0)
        rc = tell_new(client, deadline_ns);
    if (rc == 0)
        return 0;
    char text[ROS2I_ERROR_MAX];
    strcpy(text, ros2i_error());
    ros2i_registration_end(client, registration, deadline_ns);
    return ros2i_fail(-rc, "%s", text);
}

void ros2i_registration_end(struct ros2_client *client, struct ros2i_registration *registration,
                            uint64_t deadline_ns)
{
    ros2i_fork_stop();
    unlink_from(&client->registrations, registration);
    for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next)
        remove_from(queue, registration->serial);
    ros2i_fork_go_on();
    tell_stale(client, deadline_ns);
}

int ros2i_registration_add_queue(struct ros2i_queue *queue)
{
    struct ros2_client *client = queue->client;
    int rc = 0;
    for (struct ros2i_registration *r = client->registrations.first; r && rc == 0; r = r->next)
        rc = add(queue, r);
    if (rc == 0 && client->registrations.first)
        ros2i_worker_tell(client);
    return rc;
}

void ros2i_registration_tell(struct ros2_client *client, uint64_t deadline_ns)
{
    tell_stale(client, deadline_ns);
    if (tell_new(client, deadline_ns) < 0)
        ros2i_log(ROS2_LOG_INFO, "core", "a queue goes without registered memory: %s",
                  ros2i_error());
}

void ros2i_registration_drop_queue(struct ros2i_queue *queue)
{
    const struct ros2i_registered_table *table = &queue->channel->registered;
    for (size_t i = 0; i < table->count; i++)
        add_stale(queue->client, table->entry[i]->id);
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
