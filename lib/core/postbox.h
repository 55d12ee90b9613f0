/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks on their way from one thread to another: a list under a lock, and a descriptor that is readable while there are any.
 * One thread takes, any post. */
#ifndef ROS2I_POSTBOX_H
#define ROS2I_POSTBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/core/task.h"

struct ros2i_postbox {
    pthread_mutex_t lock;
    struct ros2i_task_list list; /* guarded by lock */
    int fd;                      /* an eventfd; written and read under lock */
    _Atomic bool raised;         /* fd is readable; set under lock, looked at without */
};

/* 0, -EMFILE. */
int ros2i_postbox_init(struct ros2i_postbox *box);
/* What is in it is forgotten. In a forked child too: only the descriptor is touched. */
void ros2i_postbox_fini(struct ros2i_postbox *box, bool forked);
/* Moves all of list into the box. */
void ros2i_postbox_post(struct ros2i_postbox *box, struct ros2i_task_list *list);
/* Makes fd readable, whether there are tasks or not. */
void ros2i_postbox_raise(struct ros2i_postbox *box);
/* Up to max of the tasks, behind those of list; the descriptor is readable afterwards only if some are left. A box that was
 * not raised costs no lock. */
void ros2i_postbox_take(struct ros2i_postbox *box, struct ros2i_task_list *list, unsigned max);
/* Sleeps until it is raised or until_ns. */
void ros2i_postbox_wait(struct ros2i_postbox *box, uint64_t until_ns);

#endif
