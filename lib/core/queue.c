/* SPDX-License-Identifier: Apache-2.0 */
/* Queues. Owner: one thread.
 *
 * On the path of one read nothing here allocates, locks, logs or makes a system call besides ppoll(). Waiting polls the
 * channel for spin_ns first, since an answer from memory comes sooner than a sleeping thread wakes up, then arms the
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

/* As long as ros2d spins by default. Not tuned by measurement yet; longer takes the core from a daemon on this machine. */
#define SPIN_NS            20000u
#define POLL_ONLY_PAUSE_NS 50000u
/* An attach that fails for another reason than a lost session is tried again after so long. */
#define ATTACH_NS (5 * ROS2I_NS_PER_S)

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
    queue->spin_ns = SPIN_NS;
    pthread_mutex_lock(&client->lock);
    struct ros2i_queue_number number = take_number(client);
    int rc = create_channel(queue, number);
    if (rc == 0)
        link_queue(client, queue);
    else
        give_number(client, number);
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

int ros2i_queue_submit(struct ros2i_queue *queue, struct ros2i_op *op)
{
    assert(pthread_equal(queue->owner, pthread_self()));
    op->queue = queue;
    op->done = on_done;
    ros2i_fork_enter(&queue->busy);
    int rc = ros2i_channel_submit(queue->channel, op, ros2i_now_ns());
    if (rc == 0)
        ros2i_channel_push(queue->channel);
    ros2i_fork_leave(&queue->busy);
    return rc;
}

/* The daemon refused the channel: asks the control plane, once, whether the session lives. Blocks. */
static void attach(struct ros2i_queue *queue, uint64_t deadline_ns)
{
    uint64_t limit = ros2i_now_ns() + ATTACH_NS;
    int rc = ros2i_client_attach(queue->client, deadline_ns < limit ? deadline_ns : limit);
    ros2i_fork_enter(&queue->busy);
    ros2i_channel_attached(queue->channel, rc);
    ros2i_fork_leave(&queue->busy);
}

static int progress_at(struct ros2i_queue *queue, uint64_t now_ns)
{
    ros2i_fork_enter(&queue->busy);
    int events = ros2i_channel_progress(queue->channel, now_ns);
    ros2i_fork_leave(&queue->busy);
    return events;
}

int ros2i_queue_progress(struct ros2i_queue *queue)
{
    assert(pthread_equal(queue->owner, pthread_self()));
    return progress_at(queue, ros2i_now_ns());
}

/* Until the descriptor has news or the channel has something to do by the clock. A signal ends it early, which is harmless. */
static void sleep_on(struct ros2i_queue *queue, uint64_t now_ns)
{
    ros2i_fork_enter(&queue->busy);
    int rc = ros2i_channel_arm(queue->channel);
    uint64_t next_ns = ros2i_channel_next_ns(queue->channel);
    ros2i_fork_leave(&queue->busy);
    if (rc < 0)
        return; /* there is work already */
    uint64_t left = next_ns > now_ns ? next_ns - now_ns : 0;
    if (queue->fd < 0 && left > POLL_ONLY_PAUSE_NS)
        left = POLL_ONLY_PAUSE_NS;
    struct timespec timeout = {(time_t)(left / ROS2I_NS_PER_S), (long)(left % ROS2I_NS_PER_S)};
    struct pollfd pollfd = {queue->fd, POLLIN, 0};
    ppoll(&pollfd, queue->fd < 0 ? 0 : 1,
          next_ns == ROS2I_FOREVER && queue->fd >= 0 ? NULL : &timeout, NULL);
}

/* Spinning pays only where answers come within it: waits that outlast it halve it, waits within it restore it. */
static void adapt(struct ros2i_queue *queue, bool slept)
{
    if (!slept)
        queue->spin_ns = SPIN_NS;
    else if (queue->spin_ns > SPIN_NS / 16)
        queue->spin_ns /= 2;
}

int64_t ros2i_queue_wait(struct ros2i_queue *queue, struct ros2i_op *op)
{
    assert(pthread_equal(queue->owner, pthread_self()));
    uint64_t spin_until = 0;
    bool slept = false;
    while (op->phase != ROS2I_OP_DONE) {
        uint64_t now_ns = ros2i_now_ns();
        int events = progress_at(queue, now_ns);
        if (op->phase == ROS2I_OP_DONE)
            break;
        if (queue->channel->state == ROS2I_CHANNEL_AWAIT_ATTACH) {
            attach(queue, op->deadline_ns);
            continue;
        }
        if (events > 0 || spin_until == 0)
            spin_until = now_ns + queue->spin_ns;
        if (now_ns < spin_until)
            continue;
        sleep_on(queue, now_ns);
        slept = true;
    }
    adapt(queue, slept);
    take_out(queue, op);
    return op->result < 0 ? ros2i_fail((int)-op->result, "%s", op->text) : op->result;
}
