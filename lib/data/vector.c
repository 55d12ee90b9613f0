/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting: extents whose targets lie side by side are one stretch of memory, and a long one is given to the daemon as it is.
 * Others go through bounce memory, in requests of a size that stays in the cache until it is copied out: for files of some
 * KiB the copy costs less than to name each target to the daemon. What is little in all rides in the reply.
 *
 * Nothing of a reply is believed before ros2i_vector_check() has held it against the request. */
#include "config.h"

#include "lib/data/vector.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/data/request.h"
#include "lib/protocol/checksum.h"

/* A stretch of targets shorter than this is not worth a request of its own. */
#define DIRECT_MIN (64u << 10)
#define BOUNCE_LEN (256u << 10) /* as in request.c */
#define PAGE       ((uintptr_t)ROS2_SHARED_MEMORY_ALIGN)

static struct ros2i_vector_item *items_of(const struct ros2i_slot *slot)
{
    return &slot->op->items[slot->at];
}

/* -- cutting -- */

static uint32_t add(uint32_t sum, const struct ros2i_vector_item *item, uint32_t most)
{
    return item->len <= most - sum ? sum + item->len : 0;
}

/* Extents from i on that together have at most `most` bytes; at least one. */
static uint32_t fill(const struct ros2i_op *op, size_t i, uint32_t most, uint32_t *sum_p)
{
    uint32_t n = 0, sum = 0, next;

    while (i + n < op->limit && n < ROS2I_WIRE_EXTENTS_MAX &&
           (next = add(sum, &op->items[i + n], most)) != 0) {
        sum = next;
        n++;
    }
    if (n == 0) {
        n = 1;
        sum = op->items[i].len;
    }
    *sum_p = sum;
    return n;
}

static bool is_next_to(const struct ros2i_vector_item *item, const struct ros2i_vector_item *next)
{
    return (const char *)item->buf + item->len == (const char *)next->buf;
}

/* Where the daemon maps memory, only whole pages of shared memory can be shown to it (request.c). */
static bool may_show(const struct ros2i_channel *ch, const void *addr, uint32_t len)
{
    if (ch->pool)
        return ros2i_registered_run(ch, addr, len, ROS2_REGION_REMOTE_WRITE) == len;
    return !ch->view || ((uintptr_t)addr % PAGE == 0 && len % PAGE == 0 &&
                         ros2i_shared_view_run(ch->view, addr, len) == len);
}

/* Extents from i on that are one stretch, as many as may be shown; 0: none. */
static uint32_t stretch(const struct ros2i_channel *ch, const struct ros2i_op *op, size_t i,
                        uint32_t *sum_p)
{
    uint32_t most = ch->negotiated.max_io, n = 0, sum = 0, next, good = 0;
    if (ch->pool && most > ROS2I_BOUNCE_MAX)
        most = ROS2I_BOUNCE_MAX;

    while (i + n < op->limit && n < ROS2I_WIRE_EXTENTS_MAX &&
           (n == 0 || is_next_to(&op->items[i + n - 1], &op->items[i + n])) &&
           (next = add(sum, &op->items[i + n], most)) != 0) {
        sum = next;
        n++;
        if (!ch->view || sum % PAGE == 0) {
            good = n;
            *sum_p = sum;
        }
    }
    return good > 0 && may_show(ch, op->items[i].buf, *sum_p) ? good : 0;
}

/* 8 bytes of result for each extent ride with the data. */
static bool fits_inline(const struct ros2i_channel *ch, uint32_t n, uint32_t sum)
{
    return sum + n * ROS2I_WIRE_RESULT_LEN <= ch->negotiated.inline_limit;
}

uint32_t ros2i_vector_cut(const struct ros2i_channel *ch, struct ros2i_op *op,
                          struct ros2i_slot *slot)
{
    uint32_t most = ch->negotiated.max_io, sum, direct_sum = 0;
    size_t i = op->issued, left = op->limit - i;

    if (op->items[i].len > most)
        op->items[i].len = most; /* its submitter sees that it is less, and asks for the rest */
    uint32_t n = fill(op, i, most < BOUNCE_LEN ? most : BOUNCE_LEN, &sum);
    uint32_t direct = stretch(ch, op, i, &direct_sum);

    slot->inlined = n == left && fits_inline(ch, n, sum);
    if (!slot->inlined && direct > 0 && (direct >= n || direct_sum >= DIRECT_MIN)) {
        n = direct;
        sum = direct_sum;
    } else if (!slot->inlined) {
        slot->bounced = true;
        if (sum > ROS2I_BOUNCE_MAX) /* one alone; cut as above */
            sum = op->items[i].len = ROS2I_BOUNCE_MAX;
    }
    slot->len = sum;
    op->items[i].piece = n;
    op->items[i].later = op->ended > 0;
    return n;
}

/* -- sending -- */

int ros2i_vector_send(struct ros2i_channel *ch, const struct ros2i_slot *slot)
{
    const struct ros2i_vector_item *item = items_of(slot);
    uint8_t extents[ROS2I_WIRE_EXTENTS_MAX * ROS2I_WIRE_EXTENT_LEN]; /* 24 KiB, once a request */
    uint8_t buf[128];
    struct ros2i_msg msg; /* not zeroed: what encode reads is set */
    struct ros2i_vector_request *v = &msg.u.vector;

    msg.type = ROS2I_MSG_READV;
    msg.request_id = slot->id;
    msg.flags = slot->was_sent ? ROS2I_MSG_REPLAY : 0;
    if (ch->negotiated.options & ROS2I_OPTION_CHECKSUM)
        msg.flags |= ROS2I_MSG_CHECKSUM;
    v->length = slot->len;
    v->extent_count = (uint16_t)item->piece;
    v->extents = extents;
    v->segment_count = 0;
    if (!slot->inlined)
        v->segment[v->segment_count++] = ros2i_request_segment(ch, slot);
    for (uint32_t i = 0; i < item->piece; i++)
        ros2i_extent_put(extents, i,
                         &(struct ros2i_extent){item[i].handle, item[i].offset, item[i].len});
    int len = ros2i_wire_encode(&msg, buf, sizeof(buf));
    if (len < 0)
        return len;
    struct iovec iov[2] = {{buf, (size_t)len},
                           {extents, (size_t)item->piece * ROS2I_WIRE_EXTENT_LEN}};
    return ch->ops->send(ch->ep, iov, 2, NULL);
}

int ros2i_vector_send_close(struct ros2i_channel *ch, const struct ros2i_slot *slot)
{
    const struct ros2i_op *op = slot->op;
    struct ros2i_msg msg; /* as above */
    uint8_t buf[64];

    msg.type = ROS2I_MSG_CLOSE;
    msg.request_id = slot->id;
    msg.flags = slot->was_sent ? ROS2I_MSG_REPLAY : 0;
    msg.u.close.count = op->handle_count;
    msg.u.close.handles = op->handles;
    int len = ros2i_wire_encode(&msg, buf, sizeof(buf));
    if (len < 0)
        return len;
    struct iovec iov[2] = {{buf, (size_t)len},
                           {(void *)(uintptr_t)op->handles, (size_t)op->handle_count * 8}};
    return ch->ops->send(ch->ep, iov, 2, NULL);
}

/* -- answers -- */

int ros2i_vector_check(const struct ros2i_channel *ch, const struct ros2i_slot *slot,
                       const struct ros2i_msg *msg)
{
    const struct ros2i_vector_item *item = items_of(slot);
    const struct ros2i_reply *reply = &msg->u.reply;
    uint32_t results = item->piece * ROS2I_WIRE_RESULT_LEN;
    uint64_t sum = 0;

    if (!(msg->flags & ROS2I_MSG_VECTOR) ||
        reply->payload_len != results + (slot->inlined ? reply->bytes : 0))
        return ros2i_fail(EPROTO,
                          "the daemon's reply: a payload of %u with %u bytes read of %u extents",
                          reply->payload_len, reply->bytes, item->piece);
    for (uint32_t i = 0; i < item->piece; i++) {
        struct ros2i_extent_result result = ros2i_result_get(reply->payload, i);
        if (result.bytes > item[i].len || result.status >= 4096)
            return ros2i_fail(EPROTO,
                              "the daemon's reply: status %u and %u bytes of an extent of %u",
                              result.status, result.bytes, item[i].len);
        sum += result.bytes;
    }
    if (sum != reply->bytes)
        return ros2i_fail(EPROTO, "the daemon's reply: %u bytes, its extents have %llu",
                          reply->bytes, (unsigned long long)sum);
    if ((ch->negotiated.options & ROS2I_OPTION_CHECKSUM) && reply->bytes > 0 &&
        !(msg->flags & ROS2I_MSG_CHECKSUM))
        return ros2i_fail(EPROTO, "the daemon's reply lacks the checksum that was agreed on");
    return 0;
}

/* Returns the checksum of what is good. */
static uint32_t copy_out(const struct ros2i_channel *ch, const struct ros2i_slot *slot,
                         const struct ros2i_msg *msg)
{
    const struct ros2i_vector_item *item = items_of(slot);
    const char *from = NULL, *results = msg->u.reply.payload;
    uint32_t crc = 0, n = item->piece;

    if (slot->inlined)
        from = results + (size_t)item->piece * ROS2I_WIRE_RESULT_LEN;
    else if (slot->lease.units > 0)
        from = ros2i_bounce_addr(&ch->inflight.bounce, slot->lease);
    for (uint32_t i = 0; i < n; i++, item++) {
        uint32_t good = ros2i_result_get(results, i).bytes;
        if (from) {
            memcpy(item->buf, from, good); /* the price of targets that lie apart */
            from += slot->inlined ? good : item->len;
        }
        if (msg->flags & ROS2I_MSG_CHECKSUM)
            crc = ros2i_crc32c(crc, item->buf, good);
    }
    return crc;
}

static void end_item(struct ros2i_op *op, struct ros2i_vector_item *item, int64_t result)
{
    item->result = result;
    item->ended = true;
    op->ended++;
}

bool ros2i_vector_take(struct ros2i_channel *ch, const struct ros2i_slot *slot,
                       const struct ros2i_msg *msg)
{
    struct ros2i_vector_item *item = items_of(slot);
    uint32_t crc = copy_out(ch, slot, msg);

    if ((msg->flags & ROS2I_MSG_CHECKSUM) && crc != msg->u.reply.crc)
        return false;
    for (uint32_t i = 0, n = item->piece; i < n; i++) {
        struct ros2i_extent_result result = ros2i_result_get(msg->u.reply.payload, i);
        end_item(slot->op, &item[i],
                 result.status == 0 ? (int64_t)result.bytes : -ros2i_errno_received(result.status));
    }
    return true;
}

/* -- ends without an answer -- */

void ros2i_vector_failed(struct ros2i_op *op, size_t at, int error)
{
    struct ros2i_vector_item *item = &op->items[at];

    for (uint32_t i = 0, n = item->piece; i < n; i++)
        end_item(op, &item[i], error);
}

void ros2i_vector_unissued(struct ros2i_op *op, int error)
{
    for (size_t i = op->issued; i < op->len; i++)
        end_item(op, &op->items[i], error);
    op->issued = op->len;
}

bool ros2i_vector_overlaps(const struct ros2i_op *op, const void *addr, size_t len)
{
    const char *from = addr;

    for (size_t i = 0; i < op->len; i++) {
        const char *buf = op->items[i].buf;
        if (!op->items[i].ended && buf < from + len && from < buf + op->items[i].len)
            return true;
    }
    return false;
}
