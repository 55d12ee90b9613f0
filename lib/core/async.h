/* SPDX-License-Identifier: Apache-2.0 */
/* A public queue: tasks, as many as its depth, over an internal queue (queue.h) and the client's worker (worker.h).
 *
 * Two roles: the owner prepares, submits, reaps and cancels; the driver runs the internal queue. Without a progress thread
 * the owner is the driver, in its own calls, and nothing is locked. With one they are two threads that only meet in the two
 * postboxes. The internal queue is made by the driver when it is first given something. */
#ifndef ROS2I_ASYNC_H
#define ROS2I_ASYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/core/client.h"
#include "lib/core/postbox.h"
#include "lib/core/queue.h"
#include "lib/core/task.h"

struct ros2_queue {
    /* Fixed after create. */
    struct ros2_client *client;
    unsigned depth;
    bool threaded;
    struct ros2i_task *task;       /* depth of them */
    char (*text)[ROS2I_ERROR_MAX]; /* depth of them: of the failures that the latest reap gave */
    pthread_t thread;              /* threaded */

    bool inherited; /* this is a forked child; set before it runs */
    bool ended;     /* only its memory is left */

    /* The owner's. */
    pthread_t owner;
    bool owned;                      /* owner is known */
    struct ros2i_task *free;         /* a stack */
    struct ros2i_task_list prepared; /* in their order */
    unsigned out;                    /* tasks in place OUT */
    int epoll_fd, timer_fd;          /* of ros2_queue_fd() without a thread; -1: not asked for */
    uint64_t timer_ns;               /* when the timer fires, or has; ROS2I_FOREVER: never */

    /* The driver's. */
    struct ros2i_queue *queue; /* NULL: not made yet */
    bool watched;              /* its descriptor is in epoll_fd */
    bool added;                /* to the internal queue, and not pushed */
    bool must_poll;            /* before the driver sleeps: something may be able to leave */
    struct ros2i_task_list done;
    struct ros2i_task attach; /* the question to the worker */
    bool attaching;

    struct ros2i_postbox mail;     /* to the driver: answers of the worker, submitted tasks */
    struct ros2i_postbox finished; /* threaded: to the owner */
    _Atomic bool stop, cancels;    /* threaded: owner to driver, which is woken by mail */

    /* Guarded by client->lock. */
    struct ros2_queue *next, *prev;
};

/* How a call of the owner begins: 0, or -EPERM in a forked child. */
int ros2i_async_enter(struct ros2_queue *queue);
/* Ends all operations and gives everything back but the struct. Takes client->lock. */
void ros2i_async_end(struct ros2_queue *queue);
/* In a forked child, client->lock held; the internal queue is abandoned apart from this. */
void ros2i_async_after_fork(struct ros2_queue *queue);

/* -- ready.c: the descriptor for event loops -- */

/* The internal queue was made, or the descriptor was. */
void ros2i_ready_watch(struct ros2_queue *queue);
/* The owner may sleep on the descriptor next. */
void ros2i_ready_arm(struct ros2_queue *queue);
void ros2i_ready_close(struct ros2_queue *queue);

/* -- progress.c: the thread -- */

/* 0 or -EAGAIN, -ENOMEM. */
int ros2i_progress_start(struct ros2_queue *queue);
/* It has ended all operations when this returns. */
void ros2i_progress_stop(struct ros2_queue *queue);

#endif
