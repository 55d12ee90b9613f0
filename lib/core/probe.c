/* SPDX-License-Identifier: Apache-2.0 */
/* A path leads to a socket of this machine, and that it is there says little: it may be left over from a daemon that died,
 * or belong to a daemon of this machine with the same configuration as the one that was meant. Only a handshake can tell,
 * since in it the daemon proves that it knows the session. */
#include "config.h"

#include "lib/core/probe.h"

#include <stdio.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/core/fork.h"
#include "lib/core/queue.h"

/* A daemon of this machine answers within a millisecond; one that is stopped shall not hold up those who have another way. */
#define PROBE_NS (2 * ROS2I_NS_PER_S)
/* A few of these are over before the answer comes; nobody looks at the descriptor, so that fork() is never kept waiting. */
static const struct timespec pause_between = {0, 50000};

/* 1: goes on. */
static int look(struct ros2i_queue *queue, const struct ros2i_op *op)
{
    const struct ros2i_channel *ch = queue->channel;

    ros2i_fork_enter(&queue->busy);
    ros2i_channel_progress(queue->channel, ros2i_now_ns());
    ros2i_fork_leave(&queue->busy);
    if (op->phase == ROS2I_OP_DONE)
        return op->result < 0 ? ros2i_fail((int)-op->result, "%s", op->text) : 0;
    if (ch->state == ROS2I_CHANNEL_AWAIT_ATTACH || (ch->ep == NULL && ch->last_error != 0))
        return ros2i_fail(-ch->last_error, "%s", ch->last_text);
    return 1;
}

static int run(struct ros2i_queue *queue, struct ros2i_op *op)
{
    int rc = ros2i_queue_submit(queue, op);

    if (rc < 0)
        return rc;
    while ((rc = look(queue, op)) > 0)
        nanosleep(&pause_between, NULL);
    return rc;
}

int ros2i_probe(struct ros2_client *client, uint64_t deadline_ns)
{
    uint64_t limit_ns = ros2i_now_ns() + PROBE_NS;
    struct ros2i_queue *queue;
    struct ros2i_op op;
    char text[ROS2I_ERROR_MAX];
    int rc = ros2i_queue_create(client, &queue);

    if (rc < 0)
        return rc;
    ros2i_op_init(&op, ROS2I_OP_PING, 0);
    op.deadline_ns = deadline_ns < limit_ns ? deadline_ns : limit_ns;
    rc = run(queue, &op);
    snprintf(text, sizeof(text), "%s", ros2i_error());
    pthread_mutex_lock(&client->lock);
    ros2i_queue_destroy(queue); /* ends the operation when it is still there */
    pthread_mutex_unlock(&client->lock);
    return rc < 0 ? ros2i_fail(-rc, "%s", text) : 0;
}
