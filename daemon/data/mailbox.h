/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads tell a data thread. post: any thread; the rest: the owner. A message is embedded in its sender's
 * allocation and belongs to the owner once posted. */
#ifndef ROS2D_MAILBOX_H
#define ROS2D_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct ros2d_thread;

struct ros2d_mail {
    struct ros2d_mail *next;
    void (*handle)(struct ros2d_thread *thread,
                   struct ros2d_mail *mail); /* on the owner; frees the mail */
};

struct ros2d_mailbox {
    pthread_mutex_t mutex;
    struct ros2d_mail *first, *last; /* guarded by mutex */
    _Atomic bool pending;            /* looked at without the mutex, once a loop */
    int event_fd;                    /* readable while something may be pending */
};

int ros2d_mailbox_init(struct ros2d_mailbox *box);
void ros2d_mailbox_fini(struct ros2d_mailbox *box);
void ros2d_mailbox_post(struct ros2d_mailbox *box, struct ros2d_mail *mail);
/* Handles what was posted, in order; returns how much. */
int ros2d_mailbox_run(struct ros2d_mailbox *box, struct ros2d_thread *thread);

#endif
