/* SPDX-License-Identifier: Apache-2.0 */
/* An operation: what a caller wants done on the data plane, whatever number of requests it takes.
 *
 * Lives in the submitter's memory (the stack of a synchronous call) from submit until done() has run; owner: the thread
 * of its channel. Its pieces are requests in slots of the in-flight table. It ends once no piece is left in a slot and
 * none is to be issued: then, and never before, done() runs and nothing touches the buffer any more. */
#ifndef ROS2I_OP_H
#define ROS2I_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/timers.h"

#define ROS2I_OP_TEXT_MAX 400

enum ros2i_op_kind {
    ROS2I_OP_READ,
    ROS2I_OP_WRITE,
    ROS2I_OP_FSYNC,
    ROS2I_OP_PING,
    ROS2I_OP_READV, /* its lengths and places, from len to error_at, count extents */
    ROS2I_OP_CLOSE,
};

enum ros2i_op_flag {
    ROS2I_OP_APPEND =
        1 << 0, /* WRITE: the daemon chooses the offset; one piece at a time, never replayed */
    ROS2I_OP_DATASYNC = 1 << 1, /* FSYNC */
    ROS2I_OP_PART = 1 << 2,     /* of a larger operation, whose text says how much is written */
};

enum ros2i_op_phase {
    ROS2I_OP_NEW,    /* not submitted */
    ROS2I_OP_ACTIVE, /* pieces are issued and answered */
    ROS2I_OP_CANCELLING, /* the deadline has passed: waits for the daemon to acknowledge, at most for the grace period */
    ROS2I_OP_DONE,
};

struct ros2i_channel;
struct ros2i_queue;
struct ros2i_vector_item;

struct ros2i_op {
    /* Set by the submitter after ros2i_op_init(). */
    enum ros2i_op_kind kind;
    unsigned flags; /* enum ros2i_op_flag */
    uint64_t handle;
    void *buf; /* READ: filled; WRITE: only read from */
    size_t len;
    uint64_t offset;
    struct ros2i_vector_item *items; /* READV: len of them, each with its own result */
    const void *handles;             /* CLOSE: as on the wire (ros2i_close_put()) */
    uint32_t handle_count;
    uint64_t deadline_ns; /* monotonic */
    void (*done)(struct ros2i_op *op);
    struct ros2i_queue *queue; /* lib/core's word; lib/data does not look at it */

    /* Results, valid in done(). */
    int64_t result; /* bytes, 0, or -errno; READV: 0, or why the last of them were not asked for */
    size_t ended;   /* READV: extents that have their result */
    uint64_t append_end;       /* append: the offset behind the last byte */
    uint64_t durability_epoch; /* WRITE, FSYNC: of the latest answer */
    bool epoch_known,
        epoch_changed; /* there was an answer; two answers of one WRITE named different epochs */
    uint64_t sent_ns;  /* of the request whose answer came last: when it left; 0: no answer came */
    uint32_t daemon_queue_ns, engine_ns; /* of that request, at the daemon; saturated */

    /* The channel's while the operation is in flight. */
    enum ros2i_op_phase phase;
    bool pending;    /* has pieces to issue: in the channel's list */
    bool cancelled;  /* by its owner: it ends as at a deadline, with another error */
    uint32_t pieces; /* in slots */
    size_t issued;   /* bytes given to slots */
    size_t limit;    /* bytes to issue: len, or less once the file's end is known */
    size_t error_at; /* where the first piece that failed starts */
    int error;       /* negative errno of that piece, 0: none */
    uint64_t grace_ns;
    struct ros2i_timer timer;
    struct ros2i_channel *channel;
    struct ros2i_op *next, *prev;

    char
        text[ROS2I_OP_TEXT_MAX]; /* the cause when result < 0. Last, and alone not zeroed by init */
};

struct ros2i_op_list {
    struct ros2i_op *first, *last;
};

/* By next and prev, which are valid for one list at a time. */
void ros2i_op_list_append(struct ros2i_op_list *list, struct ros2i_op *op);
void ros2i_op_list_remove(struct ros2i_op_list *list, struct ros2i_op *op);

/* Zeroes op without the cost of clearing its text. */
void ros2i_op_init(struct ros2i_op *op, enum ros2i_op_kind kind, uint64_t handle);

/* One piece at [at, at + len) ended: well with bytes of it, or with error < 0, whose cause is this thread's error text. */
void ros2i_op_piece_done(struct ros2i_op *op, size_t at, size_t len, size_t bytes);
void ros2i_op_piece_failed(struct ros2i_op *op, size_t at, int error);
/* An answer named the engine's durability epoch. */
void ros2i_op_saw_epoch(struct ros2i_op *op, uint64_t epoch);
/* No piece is left and none will be issued: sets result and text. */
void ros2i_op_conclude(struct ros2i_op *op);

#endif
