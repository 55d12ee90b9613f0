/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on files. Any thread: a file is only read here, but for what it keeps for fsync, which has its own lock. */
#include "config.h"

#include "lib/core/file_op.h"

#include <errno.h>
#include <limits.h>

#include "lib/base/error.h"
#include "lib/core/file.h"

int ros2i_file_op_check(const struct ros2_file *file, enum ros2i_op_kind kind, bool no_buffer,
                        size_t len, uint64_t offset)
{
    bool writes = kind == ROS2I_OP_WRITE;
    if (file->directory)
        return ros2i_fail(EISDIR, "it is a directory");
    if (writes ? !file->writable : !file->readable)
        return ros2i_fail(EBADF, "it is not open for %s", writes ? "writing" : "reading");
    if (len > SSIZE_MAX)
        return ros2i_fail(EINVAL, "the length %zu is above SSIZE_MAX", len);
    if (writes && file->append)
        offset = 0; /* the daemon chooses it */
    if (offset > (uint64_t)INT64_MAX - len)
        return ros2i_fail(EINVAL, "offset %llu and length %zu go past 2^63 - 1",
                          (unsigned long long)offset, len);
    if (no_buffer && len > 0)
        return ros2i_fail(EFAULT, "the buffer is NULL");
    return 0;
}

void ros2i_file_op_transfer(struct ros2i_op *op, const struct ros2_file *file,
                            enum ros2i_op_kind kind, const void *buf, size_t len, uint64_t offset)
{
    bool append = kind == ROS2I_OP_WRITE && file->append;
    ros2i_op_init(op, kind, file->handle);
    op->flags = append ? ROS2I_OP_APPEND : 0;
    op->buf = (void *)(uintptr_t)buf; /* of a write: only read from */
    op->len = len;
    op->offset = append ? 0 : offset;
}

void ros2i_file_op_sync(struct ros2i_op *op, struct ros2_file *file, unsigned flags,
                        struct ros2i_unsynced_mark *mark_p)
{
    *mark_p = ros2i_unsynced_mark(&file->unsynced);
    ros2i_op_init(op, ROS2I_OP_FSYNC, file->handle);
    op->flags = flags;
}

int64_t ros2i_file_op_conclude(const struct ros2i_op *op, struct ros2_file *file,
                               const struct ros2i_unsynced_mark *mark)
{
    /* Also of a write that failed in part: what was acknowledged is to be synced. */
    if (op->kind == ROS2I_OP_WRITE && op->epoch_known)
        ros2i_unsynced_wrote(&file->unsynced, op->durability_epoch, op->epoch_changed);
    if (op->result < 0)
        return ros2i_fail((int)-op->result, "%s", op->text);
    if (op->kind == ROS2I_OP_FSYNC)
        return ros2i_unsynced_synced(&file->unsynced, mark, op->durability_epoch);
    return op->result;
}
