/* SPDX-License-Identifier: Apache-2.0 */
/* How an answer ends a piece. Owner: the channel's thread.
 *
 * Nothing in a reply is believed before check_shape() has held it against the request. The memory is taken back from the
 * daemon before its checksum is computed, so what was checked is what the caller gets; memory that stays registered is not. */
#include "config.h"

#include "lib/data/reply.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/quiesce.h"
#include "lib/data/vector.h"
#include "lib/protocol/checksum.h"

static int check_shape(const struct ros2i_channel *ch, const struct ros2i_slot *slot,
                       const struct ros2i_msg *msg)
{
    const struct ros2i_op *op = slot->op;
    const struct ros2i_reply *reply = &msg->u.reply;
    if ((msg->type == ROS2I_MSG_PONG) != (op->kind == ROS2I_OP_PING))
        return ros2i_fail(EPROTO, "the daemon's answer is not of the request's type");
    if (msg->type == ROS2I_MSG_PONG)
        return 0;
    if (reply->status >= 4096)
        return ros2i_fail(EPROTO, "the daemon's reply: status %u is no errno", reply->status);
    if (reply->bytes > slot->len)
        return ros2i_fail(EPROTO, "the daemon's reply: %u bytes of a request of %u", reply->bytes,
                          slot->len);
    if (reply->status != 0)
        return reply->payload_len == 0
                   ? 0
                   : ros2i_fail(EPROTO, "the daemon's reply: an error with a payload");
    if (op->kind == ROS2I_OP_READV)
        return ros2i_vector_check(ch, slot, msg);
    if (msg->flags & ROS2I_MSG_VECTOR)
        return ros2i_fail(EPROTO, "the daemon's reply: extents where none were asked for");
    if (op->kind != ROS2I_OP_READ)
        return reply->bytes == slot->len && reply->payload_len == 0
                   ? 0
                   : ros2i_fail(EPROTO,
                                "the daemon's reply: %u bytes done and %u sent of a write of %u",
                                reply->bytes, reply->payload_len, slot->len);
    if (reply->payload_len != (slot->inlined ? reply->bytes : 0))
        return ros2i_fail(EPROTO, "the daemon's reply: a payload of %u for %u bytes of %s read",
                          reply->payload_len, reply->bytes, slot->inlined ? "an inline" : "a");
    if ((ch->negotiated.options & ROS2I_OPTION_CHECKSUM) && reply->bytes > 0 &&
        !(msg->flags & ROS2I_MSG_CHECKSUM))
        return ros2i_fail(EPROTO, "the daemon's reply lacks the checksum that was agreed on");
    return 0;
}

/* done: bytes of the piece that a failed write has written all the same. */
static void fail_piece(struct ros2i_channel *ch, struct ros2i_slot *slot, uint32_t done, int error)
{
    struct ros2i_op *op = slot->op;
    size_t at = slot->at + done;
    ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_FREE);
    ros2i_op_piece_failed(op, at, error);
    ros2i_channel_settle(ch, op);
}

static void finish_piece(struct ros2i_channel *ch, struct ros2i_slot *slot, size_t bytes)
{
    struct ros2i_op *op = slot->op;
    size_t at = slot->at, len = slot->len;
    ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_FREE);
    ros2i_op_piece_done(op, at, len, bytes);
    ros2i_channel_settle(ch, op);
}

/* Found here (read) or at the daemon, which then has written nothing of the block (write): sent once more, as another request. */
static void checksum_differs(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    struct ros2i_op *op = slot->op;
    ros2i_log(ROS2_LOG_WARN, "data", "checksum mismatch queue %u offset %llu len %u retried %d",
              ch->who.queue, (unsigned long long)(op->offset + slot->at), slot->len, slot->retried);
    if (slot->retried || slot->state == ROS2I_SLOT_CANCELLING) {
        fail_piece(ch, slot, 0,
                   ros2i_fail(EIO, "CRC-32C of the data differs from what the daemon computed%s",
                              slot->retried ? ", twice: the network path damages data, or the "
                                              "buffer was changed during the call"
                                            : ""));
        return;
    }
    ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_QUEUED);
    ros2i_inflight_renumber(&ch->inflight, slot);
    slot->retried = true;
    slot->was_sent = false;
}

static void refused(struct ros2i_channel *ch, struct ros2i_slot *slot, uint32_t status,
                    uint32_t bytes)
{
    if (status == ECANCELED && slot->state == ROS2I_SLOT_CANCELLING) {
        fail_piece(ch, slot, 0, ros2i_quiesce_timed_out(ch, slot->op));
        return;
    }
    if (status == EBADMSG && slot->op->kind == ROS2I_OP_WRITE) {
        checksum_differs(ch, slot);
        return;
    }
    int err = ros2i_errno_received(status);
    uint32_t done = slot->op->kind == ROS2I_OP_WRITE ? bytes : 0;
    fail_piece(ch, slot, done, ros2i_fail(err, "the daemon answers: %s", ros2i_strerror(err)));
}

static void read_done(struct ros2i_channel *ch, struct ros2i_slot *slot,
                      const struct ros2i_msg *msg)
{
    const struct ros2i_reply *reply = &msg->u.reply;
    char *target = (char *)slot->op->buf + slot->at;
    if (reply->payload_len > 0)
        memcpy(target, reply->payload, reply->payload_len);
    else if (slot->lease.units > 0)
        memcpy(target, ros2i_bounce_addr(&ch->inflight.bounce, slot->lease), reply->bytes);
    if ((msg->flags & ROS2I_MSG_CHECKSUM) && ros2i_crc32c(0, target, reply->bytes) != reply->crc)
        checksum_differs(ch, slot);
    else
        finish_piece(ch, slot, reply->bytes);
}

static void vector_done(struct ros2i_channel *ch, struct ros2i_slot *slot,
                        const struct ros2i_msg *msg)
{
    if (ros2i_vector_take(ch, slot, msg))
        finish_piece(ch, slot, msg->u.reply.bytes);
    else
        checksum_differs(ch, slot);
}

/* Or a FSYNC, or a CLOSE. */
static void write_done(struct ros2i_channel *ch, struct ros2i_slot *slot,
                       const struct ros2i_reply *reply)
{
    struct ros2i_op *op = slot->op;
    ros2i_op_saw_epoch(op, reply->durability_epoch);
    if (op->flags & ROS2I_OP_APPEND)
        op->append_end = reply->offset + reply->bytes;
    finish_piece(ch, slot, reply->bytes);
}

static void take_times(struct ros2i_op *op, const struct ros2i_slot *slot,
                       const struct ros2i_reply *reply)
{
    op->sent_ns = slot->sent_ns;
    op->daemon_queue_ns = reply->queue_ns;
    op->engine_ns = reply->engine_ns;
}

int ros2i_reply_handle(struct ros2i_channel *ch, const struct ros2i_msg *msg)
{
    struct ros2i_slot *slot = ros2i_inflight_find(&ch->inflight, msg->request_id);
    if (!slot) {
        ch->late_replies++; /* of a request that ended without it, or a keepalive's PONG */
        return 0;
    }
    if (slot->state == ROS2I_SLOT_ABANDONED) {
        ch->late_replies++;
        ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_FREE);
        return 0;
    }
    int rc = check_shape(ch, slot, msg);
    if (rc < 0)
        return rc;
    /* A daemon that answers while it still reads the memory is broken off; the replay asks again. */
    if (ros2i_quiesce_force(ch, slot) < 0)
        return 0;
    if (msg->type == ROS2I_MSG_REPLY)
        take_times(slot->op, slot, &msg->u.reply);
    if (msg->type == ROS2I_MSG_PONG)
        finish_piece(ch, slot, 0);
    else if (msg->u.reply.status != 0)
        refused(ch, slot, msg->u.reply.status, msg->u.reply.bytes);
    else if (slot->op->kind == ROS2I_OP_READ)
        read_done(ch, slot, msg);
    else if (slot->op->kind == ROS2I_OP_READV)
        vector_done(ch, slot, msg);
    else
        write_done(ch, slot, &msg->u.reply);
    return 0;
}
