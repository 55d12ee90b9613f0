/* SPDX-License-Identifier: Apache-2.0 */
/* Queues. Owner: one thread.
 *
 * On the path of one read nothing here allocates, locks, logs or makes a system call besides ppoll(). Waiting polls the
 * channel for a while first (spin.h), since an answer from memory comes sooner than a sleeping thread wakes up, then arms the
 * transport and sleeps on its descriptor until the nearest deadline. */
#include "config.h"

#include "lib/core/queue.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"
#include "lib/core/fork.h"

/* As long as ros2d spins by default. Where the daemon is on this machine and works in our memory, longer than it takes to copy
 * a MiB: to be woken costs both ends as much as a good part of that copy (docs/PERFORMANCE.md). */
#define SPIN_NS            20000u
#define SPIN_MAPPED_NS     200000u
#define POLL_ONLY_PAUSE_NS 50000u

/* -- numbers: the daemon knows a queue by its number, and remembers the last epoch and results of each -- */

static struct ros2i_queue_number take_number(struct ros2_client *client)
{
    if (client->retired_count > 0)
        return client->retired[--client->retired_count];
    return (struct ros2i_queue_number){.number = client->next_number++};
}

static void give_number(struct ros2_client *client, struct ros2i_queue_number number)
{
    if (client->retired_count == client->retired_capacity) {
        size_t capacity = client->retired_capacity ? 2 * client->retired_capacity : 16;
        struct ros2i_queue_number *grown = realloc(client->retired, capacity * sizeof(*grown));
        if (!grown)
            return; /* the number is not used again */
        client->retired = grown;
        client->retired_capacity = capacity;
    }
    client->retired[client->retired_count++] = number;
}

static void link_queue(struct ros2_client *client, struct ros2i_queue *queue)
{
    queue->prev = NULL;
    queue->next = client->queues;
    if (queue->next)
        queue->next->prev = queue;
    client->queues = queue;
}

static void unlink_queue(struct ros2i_queue *queue)
{
    *(queue->prev ? &queue->prev->next : &queue->client->queues) = queue->next;
    if (queue->next)
        queue->next->prev = queue->prev;
}

static int create_channel(struct ros2i_queue *queue, struct ros2i_queue_number number)
{
    struct ros2_client *client = queue->client;
    struct ros2i_channel_options options = {
        .ops = client->ops,
        .host = &ros2i_host,
        .session = &client->session,
        .nonce = client->nonce,
        .address = (const char(*)[ROS2I_CHANNEL_ADDRESS_MAX])queue->address,
        .address_count = ros2i_endpoints_of_queue(client, number.number, queue->address),
        .queue = number.number,
        .epoch = number.epoch,
        .sequence = number.sequence,
        .checksum = client->checksum,
    };
    if (options.address_count == 0) /* an interface may have lost its addresses */
        return ros2i_fail(EHOSTUNREACH,
                          "no address of the daemon is in setting networks: %s (ROS2_NETWORKS)",
                          client->networks);
    int rc = ros2i_channel_create(&options, &queue->channel);
    if (rc < 0)
        return rc;
    queue->number = number.number;
    queue->fd = ros2i_channel_fd(queue->channel);
    return 0;
}

int ros2i_queue_create(struct ros2_client *client, struct ros2i_queue **queue_p)
{
    struct ros2i_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return ros2i_fail(ENOMEM, "queue: out of memory");
    queue->client = client;
    queue->owner = pthread_self();
    ros2i_spin_init(&queue->spin,
                    client->ops->flags & ROS2_TRANSPORT_MAP_PEER ? SPIN_MAPPED_NS : SPIN_NS);
    pthread_mutex_lock(&client->lock);
    struct ros2i_queue_number number = take_number(client);
    int rc = create_channel(queue, number);
    if (rc == 0)
        link_queue(client, queue);
    else
        give_number(client, number);
    if (rc == 0)
        ros2i_registration_add_queue(queue);
    pthread_mutex_unlock(&client->lock);
    if (rc < 0) {
        free(queue);
        return rc;
    }
    *queue_p = queue;
    return 0;
}

void ros2i_queue_destroy(struct ros2i_queue *queue)
{
    struct ros2i_queue_number number;
    number.number = queue->number;
    unlink_queue(queue);
    ros2i_channel_last(queue->channel, &number.epoch, &number.sequence);
    ros2i_registration_drop_queue(queue);
    give_number(queue->client, number);
    ros2i_channel_destroy(queue->channel);
    free(queue);
}

void ros2i_queue_abandon(struct ros2i_queue *queue)
{
    unlink_queue(queue);
    ros2i_channel_abandon(queue->channel);
    free(queue);
}

/* -- operations -- */

static void on_done(struct ros2i_op *op)
{
    struct ros2i_queue *queue = op->queue;
    op->next = NULL;
    op->prev = queue->done_last;
    *(op->prev ? &op->prev->next : &queue->done_first) = op;
    queue->done_last = op;
}

static void take_out(struct ros2i_queue *queue, struct ros2i_op *op)
{
    *(op->prev ? &op->prev->next : &queue->done_first) = op->next;
    *(op->next ? &op->next->prev : &queue->done_last) = op->prev;
}

struct ros2i_op *ros2i_queue_reap(struct ros2i_queue *queue)
{
    struct ros2i_op *op = queue->done_first;
    if (op)
        take_out(queue, op);
    return op;
}

static int add(struct ros2i_queue *queue, struct ros2i_op *op, uint64_t now_ns)
{
    assert(pthread_equal(queue->owner, pthread_self()));
    op->queue = queue;
    ros2i_fork_enter(&queue->busy);
    int rc = ros2i_channel_submit(queue->channel, op, now_ns);
    ros2i_fork_leave(&queue->busy);
    return rc;
}

int ros2i_queue_add(struct ros2i_queue *queue, struct ros2i_op *op, uint64_t now_ns)
{
    op->done = on_done;
    return add(queue, op, now_ns);
}

/* A region was renewed, or is waited for. */
static bool take_untold(struct ros2i_queue *queue)
{
    bool untold = queue->channel->registered.untold;
    queue->channel->registered.untold = false;
    return untold;
}

bool ros2i_queue_push(struct ros2i_queue *queue)
{
    ros2i_fork_enter(&queue->busy);
    bool pushed = ros2i_channel_push(queue->channel);
    queue->state = queue->channel->state;
    bool untold = take_untold(queue);
    ros2i_fork_leave(&queue->busy);
    if (__builtin_expect(untold, 0))
        ros2i_registration_tell_later(queue->client);
    return pushed;
}

int ros2i_queue_submit(struct ros2i_queue *queue, struct ros2i_op *op)
{
    int rc = ros2i_queue_add(queue, op, ros2i_now_ns());
    if (rc == 0)
        ros2i_queue_push(queue);
    return rc;
}

int ros2i_queue_detach(struct ros2i_queue *queue, struct ros2i_op *op)
{
    int rc = add(queue, op, ros2i_now_ns());
    if (rc == 0)
        ros2i_queue_push(queue);
    return rc;
}

bool ros2i_queue_is_ready(const struct ros2i_queue *queue)
{
    return queue->state == ROS2I_CHANNEL_READY;
}

void ros2i_queue_cancel(struct ros2i_queue *queue, struct ros2i_op *op)
{
    assert(pthread_equal(queue->owner, pthread_self()));
    ros2i_fork_enter(&queue->busy);
    ros2i_channel_cancel(queue->channel, op, ros2i_now_ns());
    ros2i_fork_leave(&queue->busy);
}

/* -- attaching -- */

bool ros2i_queue_awaits_attach(const struct ros2i_queue *queue)
{
    return queue->state == ROS2I_CHANNEL_AWAIT_ATTACH;
}

void ros2i_queue_attached(struct ros2i_queue *queue, int rc)
{
    ros2i_fork_enter(&queue->busy);
    ros2i_channel_attached(queue->channel, rc);
    queue->state = queue->channel->state;
    ros2i_fork_leave(&queue->busy);
}

/* The daemon refused the channel: asks the control plane, once, whether the session lives. Blocks. */
static void attach(struct ros2i_queue *queue, uint64_t deadline_ns)
{
    uint64_t limit = ros2i_now_ns() + ROS2I_QUEUE_ATTACH_NS;
    int rc = ros2i_client_attach(queue->client, deadline_ns < limit ? deadline_ns : limit);
    ros2i_queue_attached(queue, rc);
}

/* -- waiting -- */

uint64_t ros2i_queue_poll(struct ros2i_queue *queue, struct ros2i_wait *wait)
{
    assert(pthread_equal(queue->owner, pthread_self()));
    uint64_t now_ns = ros2i_now_ns();
    ros2i_fork_enter(&queue->busy);
    int events = ros2i_channel_progress(queue->channel, now_ns);
    queue->state = queue->channel->state;
    bool untold = take_untold(queue);
    ros2i_fork_leave(&queue->busy);
    if (__builtin_expect(untold, 0))
        ros2i_registration_tell_later(queue->client);
    if (wait->from_ns == 0)
        wait->from_ns = now_ns;
    if (!wait->slept && now_ns - wait->from_ns > wait->polled_ns)
        wait->polled_ns = now_ns - wait->from_ns;
    if (events > 0)
        wait->from_ns = now_ns;
    if (events > 0 || wait->spin_until_ns == 0)
        wait->spin_until_ns = now_ns + queue->spin.now_ns;
    return now_ns;
}

int ros2i_queue_arm(struct ros2i_queue *queue, uint64_t *next_ns_p)
{
    ros2i_fork_enter(&queue->busy);
    int rc = ros2i_channel_arm(queue->channel);
    *next_ns_p = ros2i_channel_next_ns(queue->channel);
    ros2i_fork_leave(&queue->busy);
    return rc;
}

void ros2i_queue_pause(struct ros2i_queue *queue, struct ros2i_wait *wait, uint64_t now_ns,
                       int wake_fd, uint64_t until_ns)
{
    if (now_ns < wait->spin_until_ns)
        return;
    wait->slept = true;
    uint64_t next_ns;
    if (ros2i_queue_arm(queue, &next_ns) < 0)
        return; /* there is work already */
    if (until_ns < next_ns)
        next_ns = until_ns;
    uint64_t left = next_ns > now_ns ? next_ns - now_ns : 0;
    if (queue->fd < 0 && left > POLL_ONLY_PAUSE_NS)
        left = POLL_ONLY_PAUSE_NS;
    struct timespec timeout = {(time_t)(left / ROS2I_NS_PER_S), (long)(left % ROS2I_NS_PER_S)};
    struct pollfd pollfd[2] = {{queue->fd, POLLIN, 0}, {wake_fd, POLLIN, 0}}; /* -1 is ignored */
    /* A signal ends it early, which is harmless. */
    ppoll(pollfd, wake_fd < 0 ? 1 : 2, next_ns == ROS2I_FOREVER && queue->fd >= 0 ? NULL : &timeout,
          NULL);
}

void ros2i_queue_waited(struct ros2i_queue *queue, const struct ros2i_wait *wait)
{
    ros2i_spin_learn(&queue->spin, wait->polled_ns, wait->slept);
}

/* What enough() looks at may be changed by who takes memory back; that an operation is done may not. */
static bool is_over(struct ros2i_queue *queue, const struct ros2i_op *op, bool (*enough)(void *arg),
                    void *arg)
{
    if (!enough)
        return op->phase == ROS2I_OP_DONE;
    ros2i_fork_enter(&queue->busy);
    bool over = op->phase == ROS2I_OP_DONE || enough(arg);
    ros2i_fork_leave(&queue->busy);
    return over;
}

void ros2i_queue_wait_for(struct ros2i_queue *queue, const struct ros2i_op *op,
                          bool (*enough)(void *arg), void *arg)
{
    struct ros2i_wait wait = {0};
    while (!is_over(queue, op, enough, arg)) {
        uint64_t now_ns = ros2i_queue_poll(queue, &wait);
        if (is_over(queue, op, enough, arg))
            break;
        if (ros2i_queue_awaits_attach(queue))
            attach(queue, op->deadline_ns);
        else
            ros2i_queue_pause(queue, &wait, now_ns, -1, ROS2I_FOREVER);
    }
    ros2i_queue_waited(queue, &wait);
}

int64_t ros2i_queue_wait(struct ros2i_queue *queue, struct ros2i_op *op)
{
    ros2i_queue_wait_for(queue, op, NULL, NULL);
    take_out(queue, op);
    return op->result < 0 ? ros2i_fail((int)-op->result, "%s", op->text) : op->result;
}
