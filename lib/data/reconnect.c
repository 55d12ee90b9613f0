/* SPDX-License-Identifier: Apache-2.0 */
/* Losing and regaining a connection. Owner: the channel's thread.
 *
 * After ros2i_reconnect_lost() nothing of this channel is exposed, and each request that was in flight is either queued to be
 * replayed under its own id (the daemon answers a write it has done instead of doing it again), or has ended: appends, whose
 * outcome cannot be known, and pieces of operations that are past their deadline. */
#include "config.h"

#include "lib/data/reconnect.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/data/quiesce.h"

#define BACKOFF_MIN_NS ROS2I_NS_PER_MS
#define BACKOFF_MAX_NS (500 * ROS2I_NS_PER_MS)

const char *ros2i_reconnect_address(const struct ros2i_channel *ch)
{
    return ch->address[ch->attempt % ch->address_count];
}

static void remember(struct ros2i_channel *ch, int err)
{
    ch->last_error = err;
    snprintf(ch->last_text, sizeof(ch->last_text), "%s", ros2i_error());
}

static void break_connection(struct ros2i_channel *ch)
{
    if (!ch->ep)
        return;
    struct ros2_ep *ep = ch->ep;
    ch->ep = NULL;
    ch->ops->ep_abort(ep);
}

/* Doubling from 1 to 500 ms, each spread over [1/2, 1] of it so that many clients do not come back at once. */
static uint64_t backoff_ns(unsigned round)
{
    uint64_t ns = round > 9 ? BACKOFF_MAX_NS : BACKOFF_MIN_NS << round;
    if (ns > BACKOFF_MAX_NS)
        ns = BACKOFF_MAX_NS;
    uint32_t random;
    if (ros2i_random(&random, sizeof(random)) < 0)
        return ns;
    return ns / 2 + (ns / 2) * (random >> 16) / 0xffff;
}

static void end_piece(struct ros2i_channel *ch, struct ros2i_slot *slot, int error)
{
    struct ros2i_op *op = slot->op;
    ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_FREE);
    ros2i_op_piece_failed(op, slot->at, error);
    ros2i_channel_settle(ch, op);
}

/* The connection is gone: nothing is exposed once the region is deregistered. */
static void requeue(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    if (slot->state == ROS2I_SLOT_FREE)
        return;
    int rc = ros2i_quiesce_hide(ch, slot);
    assert(rc == 0);
    (void)rc;
    struct ros2i_op *op = slot->op;
    if (slot->state == ROS2I_SLOT_ABANDONED)
        ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_FREE);
    else if (slot->state == ROS2I_SLOT_QUEUED)
        return;
    else if (op->phase == ROS2I_OP_CANCELLING)
        end_piece(ch, slot, ros2i_quiesce_timed_out(ch, op));
    else if (op->flags & ROS2I_OP_APPEND)
        end_piece(ch, slot,
                  ros2i_fail(ENOTRECOVERABLE,
                             "outcome unknown: the connection was lost after the append was sent, "
                             "and an append is not repeated (%s); look at the end of the file",
                             ch->last_text));
    else if (op->error != 0)
        end_piece(ch, slot, ros2i_fail(-op->error, "%s", op->text));
    else
        ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_QUEUED);
}

static void requeue_all(struct ros2i_channel *ch)
{
    for (uint32_t i = 0; i < ch->inflight.credits; i++)
        requeue(ch, &ch->inflight.slot[i]);
}

enum ros2i_channel_state ros2i_reconnect_lost(struct ros2i_channel *ch, int err)
{
    assert(err < 0);
    remember(ch, err);
    bool was_ready = ch->state == ROS2I_CHANNEL_READY;
    ros2i_log(was_ready ? ROS2_LOG_WARN : ROS2_LOG_DEBUG, "data",
              "channel lost queue %u epoch %llu address %s attempt %u: %s", ch->who.queue,
              (unsigned long long)ch->who.epoch, ros2i_reconnect_address(ch), ch->attempt,
              ch->last_text);
    break_connection(ch);
    requeue_all(ch);
    /* A connection that worked is tried again where it was; one that did not, at the next address, and the backoff grows
     * with each round over all addresses. */
    if (!was_ready)
        ch->attempt++;
    bool round_over = was_ready || ch->attempt % ch->address_count == 0;
    unsigned round = ch->attempt / ch->address_count;
    ch->timer_ns = round_over ? ch->now_ns + backoff_ns(round > 0 ? round - 1 : 0) : ch->now_ns;
    return ROS2I_CHANNEL_BROKEN;
}

int ros2i_reconnect_fail_all(struct ros2i_channel *ch)
{
    int ended = 0;
    while (ch->pending.first) {
        struct ros2i_op *op = ch->pending.first;
        ros2i_channel_unqueue(ch, op);
        if (op->error == 0) {
            op->error = ch->last_error;
            op->error_at = op->issued;
            snprintf(op->text, sizeof(op->text), "%s", ch->last_text);
        }
        ros2i_channel_settle(ch, op);
        ended++;
    }
    return ended;
}

enum ros2i_channel_state ros2i_reconnect_give_up(struct ros2i_channel *ch, int err)
{
    remember(ch, err);
    ros2i_log(ROS2_LOG_WARN, "data", "channel failed queue %u epoch %llu: %s", ch->who.queue,
              (unsigned long long)ch->who.epoch, ch->last_text);
    break_connection(ch);
    requeue_all(ch);
    for (uint32_t i = 0; i < ch->inflight.credits; i++)
        if (ch->inflight.slot[i].state == ROS2I_SLOT_QUEUED)
            end_piece(ch, &ch->inflight.slot[i], ros2i_fail(-err, "%s", ch->last_text));
    ros2i_reconnect_fail_all(ch);
    return ROS2I_CHANNEL_FAILED;
}

/* The daemon's text is untrusted; ros2i_fail() makes control characters in it visible. */
static int fail_rejected(const struct ros2i_reject *reject)
{
    int err = reject->err > 0 && reject->err < 4096 ? (int)reject->err : EPROTO;
    int len =
        reject->text_len > ROS2I_WIRE_TEXT_MAX ? (int)ROS2I_WIRE_TEXT_MAX : (int)reject->text_len;
    return ros2i_fail(err, "the daemon refuses the data channel: %.*s (%s)", len, reject->text,
                      ros2i_strerror(err));
}

enum ros2i_channel_state ros2i_reconnect_rejected(struct ros2i_channel *ch,
                                                  const struct ros2i_reject *reject)
{
    int rc = fail_rejected(reject);
    if (rc == -EPROTONOSUPPORT)
        return ros2i_reconnect_give_up(ch, rc);
    if (rc != -EACCES && rc != -ESTALE)
        return ros2i_reconnect_lost(ch, rc);
    /* Another daemon may be at this address: the session's own may be at the next. */
    ch->attempt++;
    if (ch->attach_tried && ++ch->refusals >= ch->address_count)
        return ros2i_reconnect_give_up(ch, rc);
    remember(ch, rc);
    break_connection(ch);
    requeue_all(ch);
    ch->timer_ns = ch->now_ns;
    return ch->attach_tried ? ROS2I_CHANNEL_BROKEN : ROS2I_CHANNEL_AWAIT_ATTACH;
}

enum ros2i_channel_state ros2i_reconnect_attached(struct ros2i_channel *ch, int rc)
{
    if (rc == -ESTALE)
        return ros2i_reconnect_give_up(ch, rc);
    if (rc < 0)
        return ros2i_reconnect_lost(ch, rc);
    ch->attach_tried = true;
    ch->refusals = 0;
    ch->timer_ns = ch->now_ns;
    return ROS2I_CHANNEL_BROKEN;
}

void ros2i_reconnect_done(struct ros2i_channel *ch)
{
    if (ch->last_error != 0)
        ch->reconnects++;
    ch->attempt %= ch->address_count;
    ch->attach_tried = false;
}
