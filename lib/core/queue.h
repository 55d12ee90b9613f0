/* SPDX-License-Identifier: Apache-2.0 */
/* A queue: submission and completion of operations over a channel of its own.
 *
 * Owner: one thread; no locks (debug builds check the owner). Synchronous calls are submit and wait over the calling
 * thread's implicit queue (implicit.h); a public queue (async.h) has one too, and adds, pushes, polls and reaps. */
#ifndef ROS2I_QUEUE_H
#define ROS2I_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/core/client.h"
#include "lib/core/postbox.h"
#include "lib/core/spin.h"
#include "lib/data/op.h"

/* An attach that fails for another reason than a lost session is tried again after so long. */
#define ROS2I_QUEUE_ATTACH_NS (5 * ROS2I_NS_PER_S)

struct ros2i_queue {
    /* Fixed after create. */
    struct ros2_client *client;
    pthread_t owner;
    uint32_t number;
    char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX];

    /* Owner. */
    struct ros2i_channel *channel;
    enum ros2i_channel_state state; /* the channel's, when the owner was last in it */
    int fd;                         /* to sleep on; -1: the transport has to be polled */
    struct ros2i_spin spin;
    struct ros2i_op *done_first, *done_last; /* completed, not reaped */
    struct ros2i_postbox
        *mail; /* of the public queue over it, whose owner may sleep on more; NULL: none */

    _Atomic bool busy; /* the owner is inside the channel; read by fork() */

    /* Guarded by client->lock. */
    struct ros2i_queue *next, *prev;
};

/* For the calling thread. Makes no connection yet. 0, -ENOMEM, -EMFILE. */
int ros2i_queue_create(struct ros2_client *client, struct ros2i_queue **queue_p);
/* Owner, or any thread once the owner has ended; client->lock held. Operations left end with -ECANCELED. */
void ros2i_queue_destroy(struct ros2i_queue *queue);
/* In a forked child, client->lock held. */
void ros2i_queue_abandon(struct ros2i_queue *queue);

/* op is borrowed until it is reaped or waited for. 0 or -ENOMEM. What was added leaves with the next push or poll. */
int ros2i_queue_add(struct ros2i_queue *queue, struct ros2i_op *op, uint64_t now_ns);
/* false: it takes a poll, before the owner sleeps. */
bool ros2i_queue_push(struct ros2i_queue *queue);
int ros2i_queue_submit(struct ros2i_queue *queue, struct ros2i_op *op); /* both */
/* It has a connection, as far as is known. */
bool ros2i_queue_is_ready(const struct ros2i_queue *queue);
/* As ros2i_channel_cancel(). */
void ros2i_queue_cancel(struct ros2i_queue *queue, struct ros2i_op *op);
/* Nobody will wait for op: its done(), which the submitter has set, runs whenever this thread is in the queue, or when the
 * queue ends (with client->lock held). 0 or -ENOMEM. */
int ros2i_queue_detach(struct ros2i_queue *queue, struct ros2i_op *op);
/* The daemon refused the channel: somebody is to ask the control plane, then _attached(). */
bool ros2i_queue_awaits_attach(const struct ros2i_queue *queue);
/* rc and this thread's text: of ros2i_client_attach(). */
void ros2i_queue_attached(struct ros2i_queue *queue, int rc);
/* The first completed operation, taken out; NULL: none. */
struct ros2i_op *ros2i_queue_reap(struct ros2i_queue *queue);
/* Blocks until op, submitted here, has ended, which its deadline bounds; takes it out. Returns op->result; the thread's
 * error text is the cause when it is negative. */
int64_t ros2i_queue_wait(struct ros2i_queue *queue, struct ros2i_op *op);
/* Blocks until op, submitted here, has ended, or enough(arg) is true, which is asked whenever something has ended. op is not
 * taken out. */
void ros2i_queue_wait_for(struct ros2i_queue *queue, const struct ros2i_op *op,
                          bool (*enough)(void *arg), void *arg);

/* -- waiting for anything: poll, look whether it came, pause, again; at the end waited -- */

/* One wait. Zero it. */
struct ros2i_wait {
    uint64_t from_ns, spin_until_ns; /* from: its begin, or the latest event */
    uint64_t polled_ns;              /* the longest time to an event, until it slept */
    bool slept;
};

/* Runs what is due, without blocking. Returns the time it did so at. */
uint64_t ros2i_queue_poll(struct ros2i_queue *queue, struct ros2i_wait *wait);
/* Returns at once as long as spinning may pay; then sleeps until there is something to poll for, wake_fd is readable (-1:
 * none) or until_ns. */
void ros2i_queue_pause(struct ros2i_queue *queue, struct ros2i_wait *wait, uint64_t now_ns,
                       int wake_fd, uint64_t until_ns);
/* What was waited for has come. */
void ros2i_queue_waited(struct ros2i_queue *queue, const struct ros2i_wait *wait);
/* The owner is about to sleep on queue->fd. 0: it may, until *next_ns_p; -EAGAIN: there is something to poll for. */
int ros2i_queue_arm(struct ros2i_queue *queue, uint64_t *next_ns_p);

#endif
