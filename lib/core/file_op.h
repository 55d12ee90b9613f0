/* SPDX-License-Identifier: Apache-2.0 */
/* A file's reads, writes and syncs as operations: checked and filled before they run, concluded after. Synchronous calls
 * and queues share this, so that a write is remembered for fsync whichever way it went. */
#ifndef ROS2I_FILE_OP_H
#define ROS2I_FILE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/unsynced.h"
#include "lib/data/op.h"

struct ros2_file;

/* May this transfer be made? 0, -EISDIR, -EBADF, -EINVAL (range), -EFAULT (no_buffer: some buffer is NULL). */
int ros2i_file_op_check(const struct ros2_file *file, enum ros2i_op_kind kind, bool no_buffer,
                        size_t len, uint64_t offset);
/* Fills op; deadline_ns is left to the caller. The file must live until op is concluded. */
void ros2i_file_op_transfer(struct ros2i_op *op, const struct ros2_file *file,
                            enum ros2i_op_kind kind, const void *buf, size_t len, uint64_t offset);
/* flags: ROS2I_OP_DATASYNC or 0. mark_p: what this fsync vouches for, as of now. */
void ros2i_file_op_sync(struct ros2i_op *op, struct ros2_file *file, unsigned flags,
                        struct ros2i_unsynced_mark *mark_p);

/* op has ended: the bookkeeping of writes and syncs. mark: of a sync, else NULL. Returns the result of the whole, with
 * this thread's text when it is negative; op->text is the text of an op->result < 0 alone. */
int64_t ros2i_file_op_conclude(const struct ros2i_op *op, struct ros2_file *file,
                               const struct ros2i_unsynced_mark *mark);

#endif
