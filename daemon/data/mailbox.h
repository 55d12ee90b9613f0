/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from control threads and main to a data thread. */
#ifndef ROS2D_MAILBOX_H
#define ROS2D_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/tenant/sessions.h"

enum ros2d_letter_kind { ROS2D_LETTER_SESSION_CLOSED, ROS2D_LETTER_DRAIN };

struct ros2d_letter {
    struct ros2d_letter *next;
    enum ros2d_letter_kind kind;
    struct ros2d_session *session; /* SESSION_CLOSED: a reference */
    uint64_t deadline_ns;          /* DRAIN */
};

struct ros2d_mailbox {
    pthread_mutex_t mutex;
    struct ros2d_letter *first, **last_p; /* guarded by mutex */
    atomic_bool full;                     /* a look without the lock */
    int fd; /* eventfd, readable when full; written and read under mutex */
};

int ros2d_mailbox_init(struct ros2d_mailbox *box);
void ros2d_mailbox_fini(struct ros2d_mailbox *box); /* drops what is left */
/* Any thread; never blocks for long. The session's reference is taken here. -ENOMEM. */
int ros2d_mailbox_post(struct ros2d_mailbox *box, enum ros2d_letter_kind kind,
                       struct ros2d_session *session, uint64_t deadline_ns);
/* The owner: all letters in order, or NULL. Each is given back by letter_free. */
struct ros2d_letter *ros2d_mailbox_take(struct ros2d_mailbox *box);
void ros2d_letter_free(struct ros2d_letter *letter);

#endif
