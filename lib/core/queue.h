/* SPDX-License-Identifier: Apache-2.0 */
/* A queue: submission and completion of operations over a channel of its own.
 *
 * Owner: one thread; no locks (debug builds check the owner). Synchronous calls are submit and wait over the calling
 * thread's implicit queue (implicit.h); an asynchronous interface is the same calls with reap. */
#ifndef ROS2I_QUEUE_H
#define ROS2I_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/core/client.h"
#include "lib/data/op.h"

struct ros2i_queue {
    /* Fixed after create. */
    struct ros2_client *client;
    pthread_t owner;
    uint32_t number;
    char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX];

    /* Owner. */
    struct ros2i_channel *channel;
    int fd;                                  /* to sleep on; -1: the transport has to be polled */
    uint64_t spin_ns;                        /* how long waiting polls before it sleeps; adapts */
    struct ros2i_op *done_first, *done_last; /* completed, not reaped */

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

/* op is borrowed until it is reaped or waited for. 0 or -ENOMEM. */
int ros2i_queue_submit(struct ros2i_queue *queue, struct ros2i_op *op);
/* Runs what is due, without blocking. Returns how much there was to do. */
int ros2i_queue_progress(struct ros2i_queue *queue);
/* The first completed operation, taken out; NULL: none. */
struct ros2i_op *ros2i_queue_reap(struct ros2i_queue *queue);
/* Blocks until op, submitted here, has ended, which its deadline bounds; takes it out. Returns op->result; the thread's
 * error text is the cause when it is negative. */
int64_t ros2i_queue_wait(struct ros2i_queue *queue, struct ros2i_op *op);

#endif
