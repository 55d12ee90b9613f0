/* SPDX-License-Identifier: Apache-2.0 */
/* An operation of a public queue, from prepare to reap. A queue allocates as many as its depth, once.
 *
 *   FREE     -> PREPARED  prepare
 *   PREPARED -> OUT       submit, or cancel, which lets it end at once
 *   OUT      -> FREE      reap
 *
 * While OUT a task belongs to the queue's driver (drive.h), to the worker (worker.h), or to the list of those that have
 * ended; place is the owner's alone throughout. */
#ifndef ROS2I_TASK_H
#define ROS2I_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "lib/core/unsynced.h"
#include "lib/data/op.h"
#include "ros2/queue.h"

struct ros2_file;
struct ros2i_task;

enum ros2i_task_place { ROS2I_TASK_FREE, ROS2I_TASK_PREPARED, ROS2I_TASK_OUT };

/* Requests that one vector has in flight at a time are those of so many of its buffers. */
#define ROS2I_VECTOR_WINDOW 8
#define ROS2I_VECTOR_INLINE 4

/* One buffer of a vector as an operation of its own. */
struct ros2i_part {
    struct ros2i_op op;
    struct ros2i_task *task; /* NULL: not in use */
    size_t at;               /* of the buffer in the whole */
};

/* What is allocated stays with the task for its next vector; only gathered is freed after each. */
struct ros2i_vector {
    unsigned count, next; /* buffers, none of them empty, and the first that is not begun */
    unsigned capacity;    /* of more */
    struct iovec few[ROS2I_VECTOR_INLINE], *more;
    struct ros2i_part *part; /* ROS2I_VECTOR_WINDOW of them */
    void *gathered;          /* an append's bytes in one piece, or NULL */
};

struct ros2i_task {
    struct ros2i_op op; /* of a vector: what its parts add up to, never submitted itself */
    struct ros2i_task *next;

    /* Set by prepare. */
    enum ros2i_task_place place;
    uint32_t kind; /* enum ros2_queue_kind, or ROS2I_TASK_* */
    uint64_t user_data, timeout_ns;
    struct ros2_file *
        file; /* OPEN: a new one until it begins, then NULL, or the file that is open; CLOSE: until it begins */
    char *path; /* OPEN, STAT; owned */
    struct stat *st;
    unsigned open_flags; /* OPEN; FSYNC: of the operation */
    uint32_t mode;
    bool directory; /* STAT: the path can only name one */
    struct ros2i_vector vector;
    bool parted; /* op is the sum of vector.part */

    bool over;           /* it has ended; set when that matters */
    _Atomic bool cancel; /* owner to progress thread */

    /* The driver's. */
    bool begun;    /* the driver has taken it from the owner */
    bool running;  /* on the data plane */
    bool answered; /* by the worker */
    struct ros2i_unsynced_mark mark;
    uint64_t submitted_ns;
    uint64_t queue_ns, network_ns, engine_ns;
};

/* Not an operation of the caller: the daemon refused the channel, so the worker is to attach. */
#define ROS2I_TASK_ATTACH 100u
/* Nobody's task: the worker is to tell the daemon what is registered. */
#define ROS2I_TASK_TELL 101u

struct ros2i_task_list {
    struct ros2i_task *first, *last;
    unsigned count;
};

static inline void ros2i_task_push(struct ros2i_task_list *list, struct ros2i_task *task)
{
    task->next = NULL;
    *(list->last ? &list->last->next : &list->first) = task;
    list->last = task;
    list->count++;
}

static inline struct ros2i_task *ros2i_task_pop(struct ros2i_task_list *list)
{
    struct ros2i_task *task = list->first;
    if (!task)
        return NULL;
    list->first = task->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    return task;
}

static inline bool ros2i_task_is_control(const struct ros2i_task *task)
{
    return task->kind >= ROS2_QUEUE_OPEN;
}

#endif
