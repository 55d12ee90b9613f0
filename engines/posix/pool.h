/* SPDX-License-Identifier: Apache-2.0 */
/* Threads for calls that may block: a pool, strands on it, and the list on which results return to their owner. */
#ifndef ROS2I_POSIX_POOL_H
#define ROS2I_POSIX_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Lives in the caller's struct (an operation's is in the words of its ros2_io, hence may_alias). */
struct ros2i_work {
    struct ros2i_work *next;
    void (*run)(struct ros2i_work *work);
} __attribute__((may_alias));

struct ros2i_pool;

/* threads >= 1. They block all signals. 0, -ENOMEM, -EAGAIN (the system's thread limit). */
int ros2i_pool_create(unsigned threads, struct ros2i_pool **pool_p);
/* Runs what is queued, then joins. Nobody submits any more. */
void ros2i_pool_destroy(struct ros2i_pool *pool);
/* Any thread. run() is called once by a thread of the pool; the work is its own then. */
void ros2i_pool_submit(struct ros2i_pool *pool, struct ros2i_work *work);

/* Work that must not overlap: runs in the order of submission, one at a time, by whichever thread of the pool is free.
 * Waiting work holds no thread, so that one slow file does not stop the others. */
struct ros2i_strand {
    struct ros2i_work self; /* the strand itself as work of the pool */
    struct ros2i_pool *pool;
    pthread_mutex_t mutex;
    struct ros2i_work *head, **tail; /* guarded by mutex */
    bool scheduled;                  /* guarded by mutex: self is queued or runs */
};

void ros2i_strand_init(struct ros2i_strand *strand, struct ros2i_pool *pool);
void ros2i_strand_fini(struct ros2i_strand *strand); /* the pool is destroyed */
void ros2i_strand_submit(struct ros2i_strand *strand, struct ros2i_work *work); /* any thread */

/* Finished work on its way to the owner; fd is readable while there may be some. */
struct ros2i_finished {
    _Atomic(struct ros2i_work *) head; /* pushed with release, taken with acquire */
    int fd;                            /* eventfd; fixed after init */
    int64_t owed; /* owner: signals that were or will be written and are not read yet */
};

int ros2i_finished_init(struct ros2i_finished *finished); /* 0 or -errno */
/* Nothing is on its way. Waits until the last worker has let go of it. */
void ros2i_finished_fini(struct ros2i_finished *finished);
void ros2i_finished_push(struct ros2i_finished *finished, struct ros2i_work *work); /* workers */
/* Owner: makes fd readable until the next take. */
void ros2i_finished_nudge(struct ros2i_finished *finished);
/* Owner: all that was pushed, oldest first, linked by next. */
struct ros2i_work *ros2i_finished_take(struct ros2i_finished *finished);

#endif
