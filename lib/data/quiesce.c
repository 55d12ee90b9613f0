/* SPDX-License-Identifier: Apache-2.0 */
/* Quiescence: an operation ends only when nothing can touch its buffer any more. Owner: the channel's thread.
 *
 * At the deadline, or when its owner cancels it, CANCEL is sent for each request in flight, and the operation waits a
 * grace period for the answers, which tell whether it took effect after all. At the end of the grace period the memory is
 * deregistered, which is final on a transport that revokes; where the transport says -EBUSY, or other operations' requests
 * name the same region, the connection is aborted first, after which nothing moves. Only then does done() run. An inline
 * request exposes nothing, nor does one whose data goes through registered bounce memory: an unanswered read of these
 * ends at the deadline itself. */
#include "config.h"

#include "lib/data/quiesce.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/vector.h"

#define GRACE_MIN_NS (10 * ROS2I_NS_PER_MS)
#define GRACE_MAX_NS ROS2I_NS_PER_S

uint64_t ros2i_quiesce_grace_ns(uint64_t now_ns, uint64_t deadline_ns)
{
    uint64_t grace = deadline_ns > now_ns ? (deadline_ns - now_ns) / 8 : 0;
    if (grace < GRACE_MIN_NS)
        return GRACE_MIN_NS;
    return grace > GRACE_MAX_NS ? GRACE_MAX_NS : grace;
}

static bool waits_for_pool(const struct ros2i_channel *ch, const struct ros2i_op *op)
{
    for (uint32_t i = 0; i < ch->inflight.credits; i++) {
        const struct ros2i_slot *slot = &ch->inflight.slot[i];
        if (slot->op == op && slot->state == ROS2I_SLOT_QUEUED && !slot->inlined)
            return true;
    }
    return false;
}

int ros2i_quiesce_timed_out(const struct ros2i_channel *ch, const struct ros2i_op *op)
{
    const char *doubt =
        op->kind == ROS2I_OP_WRITE && op->issued > 0 ? "; what is written is unknown" : "";
    if (op->cancelled)
        return ros2i_fail(ECANCELED, "cancelled before it was done%s", doubt);
    if (ch->state == ROS2I_CHANNEL_READY && ch->pool && !ch->pool->named && waits_for_pool(ch, op))
        return ros2i_fail(
            ETIMEDOUT,
            "the daemon was not told of the memory for transfers by the deadline: the "
            "control plane did not answer, or refused (limits.regions, "
            "limits.registered_bytes)%s",
            doubt);
    if (ch->state == ROS2I_CHANNEL_READY || ch->last_error == 0)
        return ros2i_fail(ETIMEDOUT, "no answer from the daemon by the deadline%s", doubt);
    return ros2i_fail(ETIMEDOUT, "no data channel by the deadline; last cause: %s", ch->last_text);
}

static int taken_by_breaking(void)
{
    return ros2i_fail(EBUSY, "the connection was broken to take a buffer back that the daemon may "
                             "still have been using");
}

/* All requests that name the region must be of one operation: what is on its way for another one must not be thrown away. */
static int hide_registered(struct ros2i_channel *ch, const struct ros2i_slot *slot)
{
    const struct ros2i_op *op = slot->op;
    struct ros2i_registered *entry = slot->registered;
    unsigned own = 0;
    for (uint32_t i = 0; i < ch->inflight.credits; i++)
        own += ch->inflight.slot[i].op == op && ch->inflight.slot[i].registered == entry;
    int rc = own < entry->users ? -EBUSY : ros2i_registered_renew(ch, entry);
    for (uint32_t i = 0; i < ch->inflight.credits && rc == 0; i++)
        if (ch->inflight.slot[i].registered == entry)
            ros2i_registered_give(ch, &ch->inflight.slot[i].registered);
    return rc;
}

int ros2i_quiesce_hide(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    if (slot->registered && ch->ep && slot->state != ROS2I_SLOT_QUEUED)
        return hide_registered(ch, slot);
    ros2i_registered_give(ch, &slot->registered);
    if (!slot->region)
        return 0;
    int rc = ch->ops->region_deregister(slot->region);
    if (rc == 0)
        slot->region = NULL;
    return rc;
}

int ros2i_quiesce_force(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    ros2i_registered_give(ch, &slot->registered);
    if (ros2i_quiesce_hide(ch, slot) == 0)
        return 0;
    ros2i_channel_lost(ch, taken_by_breaking());
    return -EBUSY;
}

static void send_cancel(struct ros2i_channel *ch, const struct ros2i_slot *slot)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_CANCEL};
    msg.u.target_id = slot->id;
    /* A courtesy: without room for it, or without a connection, the grace period ends the wait. */
    if (ros2i_channel_send(ch, &msg) == 0)
        ch->ops->flush(ch->ep);
}

/* Ends the piece in slot for lack of an answer; state: FREE when the daemon never saw it, else ABANDONED. */
static void end_piece(struct ros2i_channel *ch, struct ros2i_slot *slot,
                      enum ros2i_slot_state state)
{
    struct ros2i_op *op = slot->op;
    size_t at = slot->at;
    int error = ros2i_quiesce_timed_out(ch, op); /* it may be that slot which says why */
    ros2i_inflight_move(&ch->inflight, slot, state);
    ros2i_op_piece_failed(op, at, error);
}

static void cancel_slot(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    if (slot->state == ROS2I_SLOT_QUEUED) {
        /* Not sent on this connection, so the token is known to nobody. */
        if (ros2i_quiesce_force(ch, slot) == 0)
            end_piece(ch, slot, ROS2I_SLOT_FREE);
        return;
    }
    send_cancel(ch, slot);
    bool changes_something = slot->op->kind == ROS2I_OP_WRITE || slot->op->kind == ROS2I_OP_FSYNC;
    if (slot->region || slot->registered || changes_something)
        ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_CANCELLING);
    else
        end_piece(ch, slot, ROS2I_SLOT_ABANDONED);
}

static void for_each_slot(struct ros2i_op *op,
                          void (*fn)(struct ros2i_channel *, struct ros2i_slot *))
{
    struct ros2i_channel *ch = op->channel;
    /* A channel that is lost underway ends pieces by itself: the extra one keeps op from ending in the middle. */
    op->pieces++;
    for (uint32_t i = 0; i < ch->inflight.credits; i++)
        if (ch->inflight.slot[i].op == op)
            fn(ch, &ch->inflight.slot[i]);
    op->pieces--;
}

static void deadline_passed(struct ros2i_channel *ch, struct ros2i_op *op)
{
    op->phase = ROS2I_OP_CANCELLING;
    ros2i_channel_unqueue(ch, op);
    bool unissued = op->issued < op->limit || (op->len == 0 && op->pieces == 0);
    if (unissued && op->error == 0) {
        op->error = ros2i_quiesce_timed_out(ch, op);
        op->error_at = op->issued;
        snprintf(op->text, sizeof(op->text), "%s", ros2i_error());
    }
    for_each_slot(op, cancel_slot);
    /* Cannot fail: the heap has the room that this timer's first arming took. */
    if (op->pieces > 0)
        ros2i_timers_arm(&ch->timers, &op->timer, ch->now_ns + op->grace_ns);
    ros2i_channel_settle(ch, op);
}

static void abandon_slot(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    if (ros2i_quiesce_hide(ch, slot) == 0)
        end_piece(ch, slot, ROS2I_SLOT_ABANDONED);
}

static void grace_over(struct ros2i_channel *ch, struct ros2i_op *op)
{
    for_each_slot(op, abandon_slot);
    if (op->pieces == 0) {
        ros2i_channel_settle(ch, op);
        return;
    }
    /* Losing the channel ends the pieces that are left, and with them op. */
    ros2i_channel_lost(ch, taken_by_breaking());
}

void ros2i_quiesce_cancel(struct ros2i_channel *ch, struct ros2i_op *op)
{
    if (op->phase != ROS2I_OP_ACTIVE)
        return; /* its deadline has passed: it ends within the grace period */
    op->cancelled = true;
    deadline_passed(ch, op);
}

void ros2i_quiesce_due(struct ros2i_timer *timer)
{
    struct ros2i_op *op = (struct ros2i_op *)((char *)timer - offsetof(struct ros2i_op, timer));
    if (op->phase == ROS2I_OP_ACTIVE)
        deadline_passed(op->channel, op);
    else
        grace_over(op->channel, op);
}

/* -- taking memory back from all that uses it -- */

static bool overlaps(const struct ros2i_op *op, const void *addr, size_t len)
{
    const char *buf = op->buf, *from = addr;
    if (op->kind == ROS2I_OP_READV)
        return ros2i_vector_overlaps(op, addr, len);
    return op->len > 0 && buf < from + len && from < buf + op->len;
}

static struct ros2i_op *first_user(const struct ros2i_channel *ch, const void *addr, size_t len)
{
    for (struct ros2i_op *op = ch->pending.first; op; op = op->next)
        if (overlaps(op, addr, len))
            return op;
    for (uint32_t i = 0; i < ch->inflight.credits; i++)
        if (ch->inflight.slot[i].op && overlaps(ch->inflight.slot[i].op, addr, len))
            return ch->inflight.slot[i].op;
    return NULL;
}

bool ros2i_quiesce_uses(const struct ros2i_channel *ch, const void *addr, size_t len)
{
    return first_user(ch, addr, len) != NULL;
}

static int taken_back(void)
{
    return ros2i_fail(ECANCELED, "its memory was freed or unregistered while it was in flight");
}

static void drop_slot(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    struct ros2i_op *op = slot->op;
    size_t at = slot->at;
    ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_FREE);
    ros2i_op_piece_failed(op, at, taken_back());
}

void ros2i_quiesce_take_back(struct ros2i_channel *ch, const void *addr, size_t len)
{
    struct ros2i_op *op = first_user(ch, addr, len);
    if (!op)
        return;
    /* Nothing is exposed afterwards; what was in flight is queued to be replayed, or has ended. */
    ros2i_channel_lost(ch, taken_back());
    while ((op = first_user(ch, addr, len)) != NULL) {
        if (op->pending && op->error == 0) {
            op->error = taken_back();
            op->error_at = op->issued;
            snprintf(op->text, sizeof(op->text), "%s", ros2i_error());
        }
        ros2i_channel_unqueue(ch, op);
        for_each_slot(op, drop_slot);
        ros2i_channel_settle(ch, op);
    }
}
