/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an operation out of the results of its pieces. Owner: the channel's thread.
 *
 * Pieces end in any order. The lowest piece that failed gives the error; else the lowest short piece gives the end of the
 * file, so that the bytes a read reports are always without a gap. */
#include "config.h"

#include "lib/data/op.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/data/vector.h"

void ros2i_op_list_append(struct ros2i_op_list *list, struct ros2i_op *op)
{
    op->prev = list->last;
    op->next = NULL;
    *(op->prev ? &op->prev->next : &list->first) = op;
    list->last = op;
}

void ros2i_op_list_remove(struct ros2i_op_list *list, struct ros2i_op *op)
{
    *(op->prev ? &op->prev->next : &list->first) = op->next;
    *(op->next ? &op->next->prev : &list->last) = op->prev;
    op->next = op->prev = NULL;
}

void ros2i_op_init(struct ros2i_op *op, enum ros2i_op_kind kind, uint64_t handle)
{
    memset(op, 0, offsetof(struct ros2i_op, text));
    op->text[0] = '\0';
    op->kind = kind;
    op->handle = handle;
}

void ros2i_op_piece_done(struct ros2i_op *op, size_t at, size_t len, size_t bytes)
{
    assert(op->pieces > 0 && bytes <= len);
    op->pieces--;
    if (op->kind == ROS2I_OP_READV)
        return; /* its extents have their results */
    if (bytes < len && at + bytes < op->limit)
        op->limit = at + bytes;
}

/* The others go on; the text is that of the first. */
static void vector_failed(struct ros2i_op *op, size_t at, int error)
{
    ros2i_vector_failed(op, at, error);
    if (op->text[0] != '\0' && op->error_at <= at)
        return;
    op->error_at = at;
    snprintf(op->text, sizeof(op->text), "%s", ros2i_error());
}

void ros2i_op_piece_failed(struct ros2i_op *op, size_t at, int error)
{
    assert(op->pieces > 0 && error < 0);
    op->pieces--;
    if (op->kind == ROS2I_OP_READV) {
        vector_failed(op, at, error);
        return;
    }
    if (op->error != 0 && op->error_at <= at)
        return;
    op->error = error;
    op->error_at = at;
    snprintf(op->text, sizeof(op->text), "%s", ros2i_error());
}

void ros2i_op_saw_epoch(struct ros2i_op *op, uint64_t epoch)
{
    if (op->epoch_known && op->durability_epoch != epoch)
        op->epoch_changed = true;
    op->durability_epoch = epoch;
    op->epoch_known = true;
}

void ros2i_op_conclude(struct ros2i_op *op)
{
    assert(op->pieces == 0 && !op->pending);
    if (op->kind == ROS2I_OP_READV)
        ros2i_vector_unissued(op, op->error);
    /* A piece past the end of the file may have failed for a reason of its own: what was read is read. */
    bool failed = op->error != 0 && !(op->kind == ROS2I_OP_READ && op->error_at >= op->limit);
    if (!failed) {
        op->result =
            op->kind == ROS2I_OP_READ || op->kind == ROS2I_OP_WRITE ? (int64_t)op->limit : 0;
        return;
    }
    op->result = op->error;
    if (op->kind == ROS2I_OP_WRITE && op->error_at > 0 && !(op->flags & ROS2I_OP_PART)) {
        size_t used = strlen(op->text);
        snprintf(op->text + used, sizeof(op->text) - used, " (%zu of %zu bytes are written)",
                 op->error_at, op->len);
    }
}
