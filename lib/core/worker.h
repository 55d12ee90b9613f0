/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that makes control calls for queues: opens, stats, closes, the attach that a refused channel asks for, and what
 * is registered.
 * One for a client, started by the first such task, ended after 5 s without one, and by disconnect. Tasks of one submit
 * that are of a kind and have one deadline are a batch, which is one message where the protocol has one for many.
 *
 * After fork() a child has no such thread, and its copy of the batches is freed. While a fork takes place, a call that the
 * thread is in is repeated (lib/control/runtime.c); it holds no lock during one. */
#ifndef ROS2I_WORKER_H
#define ROS2I_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ros2_client;
struct ros2_file;
struct ros2i_batch;
struct ros2i_postbox;
struct ros2i_task;
struct ros2i_task_list;

struct ros2i_worker { /* guarded by client->lock */
    pthread_cond_t wake;
    pthread_t thread;
    bool started; /* there is a thread to join */
    bool running; /* it will look for batches again */
    bool stopping;
    bool to_tell;                     /* a batch for registered memory is among those not begun */
    struct ros2i_batch *first, *last; /* not begun */
    struct ros2i_batch *current;      /* the thread's; only its mail is guarded */
};

void ros2i_worker_init(struct ros2i_worker *worker);
/* Ends the thread after the call that it is in, and drops what is left; then nothing of it may be used. */
void ros2i_worker_fini(struct ros2_client *client);
/* In a forked child, client->lock held. */
void ros2i_worker_after_fork(struct ros2_client *client);

/* Any thread; none of these blocks. */

/* Takes the tasks of list, which come to mail when they are answered; those that cannot be begun, or are done already, go to
 * ended. */
void ros2i_worker_submit(struct ros2_client *client, struct ros2i_postbox *mail,
                         struct ros2i_task_list *list, struct ros2i_task_list *ended);
/* true: the thread had not begun with task, which has ended. */
bool ros2i_worker_cancel(struct ros2_client *client, struct ros2i_task *task);
/* Nothing is posted to mail, nor any task of it touched, any more. Opens and stats are dropped, closes are made. */
void ros2i_worker_forget(struct ros2_client *client, struct ros2i_postbox *mail);
/* Tells the daemon what is registered for queues, and what is no more (registration.h). client->lock held. */
void ros2i_worker_tell(struct ros2_client *client);
/* Closes a file that no caller waits for. */
void ros2i_worker_close(struct ros2_client *client, struct ros2_file *file);

#endif
