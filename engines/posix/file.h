/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes: how a read, write or fsync is carried out. */
#ifndef ROS2I_POSIX_FILE_H
#define ROS2I_POSIX_FILE_H

#include <stdbool.h>

#include "engines/posix/namespace.h"

enum ros2i_op_kind { ROS2I_OP_READ, ROS2I_OP_WRITE, ROS2I_OP_APPEND, ROS2I_OP_FSYNC };

/* An operation in flight. It lives in the words of its ros2_io: no allocation, nothing to free. Owner: the context's
 * thread, or the worker that carries it. */
struct ros2i_op {
    struct ros2i_work work; /* first: a work is its op */
    struct ros2_io_context *context;
    struct ros2_node *node;
    char *buf; /* of a write: only read from */
    size_t len, moved;
    uint64_t offset;
    uint64_t direct_end; /* a read goes past the page cache up to here; 0: not at all */
    uint8_t kind;        /* enum ros2i_op_kind */
    bool datasync;
} __attribute__((may_alias));

_Static_assert(sizeof(struct ros2i_op) <= sizeof(((struct ros2_io *)0)->plugin),
               "an op fits its ros2_io");

struct ros2_io *ros2i_op_io(struct ros2i_op *op);
/* The descriptor for the next step of op, a read, and how much that step asks for. */
int ros2i_op_read_step(const struct ros2i_op *op, size_t *len_p);
/* After a step of op that moved n bytes or failed (n < 0). true: op is finished and its io's result is set; false: the
 * rest is still to do. */
bool ros2i_op_advance(struct ros2i_op *op, int64_t n);
/* Carries op out to its end, however long that takes. Workers. */
void ros2i_op_run_blocking(struct ros2i_op *op);

/* The calls of struct ros2_engine_ops. */
int ros2i_file_read(struct ros2_io_context *context, struct ros2_node *node, void *buf, size_t len,
                    uint64_t offset, struct ros2_io *io);
int ros2i_file_write(struct ros2_io_context *context, struct ros2_node *node, const void *buf,
                     size_t len, uint64_t offset, unsigned io_flags, struct ros2_io *io);
int ros2i_file_fsync(struct ros2_io_context *context, struct ros2_node *node, unsigned io_flags,
                     struct ros2_io *io);

#endif
