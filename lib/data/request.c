/* SPDX-License-Identifier: Apache-2.0 */
/* How an operation becomes requests. Owner: the channel's thread.
 *
 * An operation is cut into pieces of at most max_io. A piece of up to inline_limit rides in the messages; a longer one is
 * registered with the transport for just as long as its request is out, readable for a WRITE, writable for a READ; unless
 * it lies in memory that is registered anyway (registered.h).
 *
 * Where the daemon maps memory instead (a transport with MAP_PEER), only shared memory can be registered, and only whole
 * pages of it are: to take a page back from a daemon that does not answer, another one is put in its place, so it must hold
 * nothing but this operation's data. What lies in front of the first whole page and behind the last rides in messages; what
 * is not shared goes through bounce memory.
 *
 * Where a transport has keys and no tokens (RDMA), memory that was not registered beforehand goes through bounce memory that was:
 * registering takes long, and its key has to be told over the control plane. Whatever happens to such an operation, its
 * own memory is out of the daemon's reach. */
#include "config.h"

#include "lib/data/request.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/data/quiesce.h"
#include "lib/data/vector.h"
#include "lib/protocol/checksum.h"

/* Header, fixed fields, one segment and all CRCs: 16 + 32 + 24 + 4 * 64, with room to spare. */
#define ENCODED_MAX 512

/* Of such an operation whose pages are not whole, less than this is copied in one piece rather than sent as three. */
#define DIRECT_MIN (64u << 10)
/* Bounced data is cut smaller than max_io: the copy of one piece then overlaps with the daemon's work on the next, and finds
 * the data in the cache. An append is not cut if it can be helped. */
#define BOUNCE_PIECE (256u << 10)
#define PAGE         ((size_t)ROS2_SHARED_MEMORY_ALIGN)

static char *piece(const struct ros2i_slot *slot)
{
    const struct ros2i_op *op = slot->op;
    return op->kind == ROS2I_OP_READV ? op->items[slot->at].buf : (char *)op->buf + slot->at;
}

/* Where the transport finds the data, or puts it. */
static char *memory(const struct ros2i_channel *ch, const struct ros2i_slot *slot)
{
    return slot->lease.units > 0 ? ros2i_bounce_addr(&ch->inflight.bounce, slot->lease)
                                 : piece(slot);
}

static void fill_checksums(const struct ros2i_channel *ch, const struct ros2i_slot *slot,
                           struct ros2i_io_request *io)
{
    const char *data = memory(ch, slot);
    uint32_t block = ch->negotiated.checksum_block;
    io->crc_count = 0;
    for (uint32_t at = 0; at < slot->len; at += block) {
        uint32_t left = slot->len - at;
        io->crc[io->crc_count++] = ros2i_crc32c(0, data + at, left < block ? left : block);
    }
}

struct ros2i_segment ros2i_request_segment(const struct ros2i_channel *ch,
                                           const struct ros2i_slot *slot)
{
    const struct ros2i_registered *known = slot->registered;
    if (slot->pooled)
        return (struct ros2i_segment){
            .id = ch->pool->id,
            .offset =
                (uint64_t)(ros2i_bounce_addr(&ch->inflight.bounce, slot->lease) - ch->pool->addr),
            .len = slot->len,
            .kind = ROS2I_SEGMENT_REGION};
    if (known)
        return (struct ros2i_segment){.id = known->id,
                                      .offset = (uint64_t)(piece(slot) - known->addr),
                                      .len = slot->len,
                                      .kind = ROS2I_SEGMENT_REGION};
    return (struct ros2i_segment){
        .id = ch->ops->region_token(slot->region), .len = slot->len, .kind = ROS2I_SEGMENT_TOKEN};
}

static void fill_io(const struct ros2i_channel *ch, const struct ros2i_slot *slot,
                    struct ros2i_msg *msg)
{
    const struct ros2i_op *op = slot->op;
    struct ros2i_io_request *io = &msg->u.io;
    io->handle = op->handle;
    io->offset = op->flags & ROS2I_OP_APPEND ? 0 : op->offset + slot->at;
    io->length = slot->len;
    io->segment_count = 0;
    io->crc_count = 0;
    io->payload = NULL;
    if (!slot->inlined)
        io->segment[io->segment_count++] = ros2i_request_segment(ch, slot);
    if (ch->negotiated.options & ROS2I_OPTION_CHECKSUM) {
        msg->flags |= ROS2I_MSG_CHECKSUM;
        if (op->kind == ROS2I_OP_WRITE)
            fill_checksums(ch, slot, io);
    }
    if (op->kind == ROS2I_OP_WRITE && slot->inlined)
        io->payload = piece(slot);
}

static void fill_message(const struct ros2i_channel *ch, const struct ros2i_slot *slot,
                         struct ros2i_msg *msg)
{
    const struct ros2i_op *op = slot->op;
    msg->request_id = slot->id;
    msg->flags = slot->was_sent && op->kind != ROS2I_OP_PING ? ROS2I_MSG_REPLAY : 0;
    switch (op->kind) {
    case ROS2I_OP_READ:
        msg->type = ROS2I_MSG_READ;
        fill_io(ch, slot, msg);
        break;
    case ROS2I_OP_WRITE:
        msg->type = ROS2I_MSG_WRITE;
        fill_io(ch, slot, msg);
        break;
    case ROS2I_OP_FSYNC:
        msg->type = ROS2I_MSG_FSYNC;
        msg->flags |= op->flags & ROS2I_OP_DATASYNC ? ROS2I_MSG_DATASYNC : 0;
        msg->u.handle = op->handle;
        break;
    case ROS2I_OP_PING:
        msg->type = ROS2I_MSG_PING;
        msg->u.opaque = slot->id;
        break;
    case ROS2I_OP_READV:
    case ROS2I_OP_CLOSE:
        break; /* vector.c makes its own */
    }
}

static unsigned right_of(const struct ros2i_op *op)
{
    return op->kind == ROS2I_OP_WRITE ? ROS2_REGION_REMOTE_READ : ROS2_REGION_REMOTE_WRITE;
}

/* May the daemon be given the piece where it is? */
static bool is_direct(const struct ros2i_channel *ch, const char *addr, size_t len)
{
    return !ch->view || (len > 0 && (uintptr_t)addr % PAGE == 0 && len % PAGE == 0 &&
                         ros2i_shared_view_run(ch->view, addr, len) == len);
}

static int bounce(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    int rc = ros2i_bounce_take(&ch->inflight.bounce, ch->view, slot->len, &slot->lease);
    if (rc == 0 && slot->op->kind == ROS2I_OP_WRITE)
        memcpy(memory(ch, slot), piece(slot), slot->len);
    return rc;
}

/* The daemon knows the memory, or the data goes through the pool. */
static int expose_by_key(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    if (!(slot->op->kind == ROS2I_OP_READV && slot->bounced))
        slot->registered = ros2i_registered_take(ch, piece(slot), slot->len, right_of(slot->op));
    if (slot->registered)
        return 0;
    if (!ros2i_registered_pool(ch))
        return -EAGAIN;
    int rc = bounce(ch, slot);
    slot->pooled = rc == 0;
    return rc;
}

static int expose(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    unsigned right = right_of(slot->op);
    if (ch->pool)
        return expose_by_key(ch, slot);
    bool direct =
        slot->op->kind == ROS2I_OP_READV ? !slot->bounced : is_direct(ch, piece(slot), slot->len);
    if (slot->lease.units == 0 && !direct) {
        int rc = bounce(ch, slot);
        if (rc < 0)
            return rc;
    }
    if (slot->lease.units == 0)
        slot->registered = ros2i_registered_take(ch, piece(slot), slot->len, right);
    if (slot->registered)
        return 0;
    int rc = ch->ops->region_register(ch->domain, memory(ch, slot), slot->len, right,
                                      ROS2_MEMORY_HOST, &slot->region);
    if (rc != -EMFILE || !ch->view || slot->lease.units > 0 || slot->len > ROS2I_BOUNCE_MAX)
        return rc;
    /* More memory than the daemon maps at a time. */
    rc = bounce(ch, slot);
    return rc < 0 ? rc
                  : ch->ops->region_register(ch->domain, memory(ch, slot), slot->len, right,
                                             ROS2_MEMORY_HOST, &slot->region);
}

/* What may be gone once a request that is out is answered. */
static bool is_passing(int error)
{
    return error == -EAGAIN || error == -EMFILE || error == -ENOMEM;
}

/* Copied by the transport: an inline request leaves no pointer to the caller's buffer behind. */
static int send_message(struct ros2i_channel *ch, const struct ros2i_slot *slot)
{
    struct ros2i_msg msg; /* not zeroed: fill_message() sets what encode reads */
    uint8_t buf[ENCODED_MAX];
    if (slot->op->kind == ROS2I_OP_READV)
        return ros2i_vector_send(ch, slot);
    if (slot->op->kind == ROS2I_OP_CLOSE)
        return ros2i_vector_send_close(ch, slot);
    fill_message(ch, slot, &msg);
    int len = ros2i_wire_encode(&msg, buf, sizeof(buf));
    if (len < 0)
        return len;
    struct iovec iov[2] = {{buf, (size_t)len}, {NULL, 0}};
    int count = 1;
    if (msg.type == ROS2I_MSG_WRITE && slot->inlined)
        iov[count++] = (struct iovec){piece(slot), slot->len};
    return ch->ops->send(ch->ep, iov, count, NULL);
}

/* Sends the request of a QUEUED slot. 0, or -EAGAIN: not now, the slot stays as it is; else the channel is of no use. */
static int send_request(struct ros2i_channel *ch, struct ros2i_slot *slot)
{
    if (!slot->inlined && !slot->region && !slot->registered && !slot->pooled) {
        int rc = expose(ch, slot);
        if (rc < 0)
            return ch->inflight.waiting > 0 && is_passing(rc) ? -EAGAIN : rc;
    }
    int rc = send_message(ch, slot);
    if (rc < 0)
        return rc;
    ch->replays += slot->was_sent;
    slot->was_sent = true;
    slot->sent_ns = ch->now_ns;
    ros2i_inflight_move(&ch->inflight, slot, ROS2I_SLOT_SENT);
    return 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* On a transport with MAP_PEER: up to the first whole page, or all whole pages side by side in one file, or the rest. */
static size_t mapped_piece_len(const struct ros2i_channel *ch, const struct ros2i_op *op,
                               const char *addr, size_t left)
{
    size_t most = least(left, ch->negotiated.max_io), skew = (uintptr_t)addr % PAGE;
    size_t run = ros2i_shared_view_run(ch->view, addr, most);
    if (op->flags & ROS2I_OP_APPEND)
        return is_direct(ch, addr, most) ? most : least(most, ROS2I_BOUNCE_MAX);
    bool whole = skew == 0 && left % PAGE == 0;
    if (run == 0 || (!whole && left < DIRECT_MIN))
        return least(most, BOUNCE_PIECE);
    if (skew > 0)
        return least(most, PAGE - skew);
    size_t pages = run & ~(PAGE - 1);
    return pages > 0 ? pages : most;
}

/* Where the transport has keys: as far as memory that the daemon knows reaches, or some of what it does not know. */
static size_t keyed_piece_len(const struct ros2i_channel *ch, const struct ros2i_op *op,
                              const char *addr, size_t left)
{
    /* What is known now may be withdrawn before it is sent, and then has to fit the pool. */
    size_t most = least(least(left, ch->negotiated.max_io), ROS2I_BOUNCE_MAX);
    size_t run = ros2i_registered_run(ch, addr, most, right_of(op));
    if (op->flags & ROS2I_OP_APPEND) {
        size_t whole = least(left, ch->negotiated.max_io);
        return ros2i_registered_run(ch, addr, whole, right_of(op)) == whole ? whole : most;
    }
    return run > 0 ? run : least(most, BOUNCE_PIECE);
}

static size_t piece_len(const struct ros2i_channel *ch, const struct ros2i_op *op)
{
    size_t left = op->limit - op->issued;
    if (ch->pool)
        return keyed_piece_len(ch, op, (char *)op->buf + op->issued, left);
    return ch->view ? mapped_piece_len(ch, op, (char *)op->buf + op->issued, left)
                    : least(left, ch->negotiated.max_io);
}

static struct ros2i_slot *cut_piece(struct ros2i_channel *ch, struct ros2i_op *op)
{
    struct ros2i_slot *slot = ros2i_inflight_take(&ch->inflight);
    if (!slot)
        return NULL;
    slot->op = op;
    slot->at = op->issued;
    if (op->kind == ROS2I_OP_READV) {
        op->issued += ros2i_vector_cut(ch, op, slot);
    } else {
        slot->len = (uint32_t)piece_len(ch, op);
        /* Without data (PING, FSYNC, CLOSE) there is nothing to expose. */
        slot->inlined = slot->len == 0 || (slot->len <= ch->negotiated.inline_limit &&
                                           !(ch->view && is_direct(ch, piece(slot), slot->len)));
        op->issued += slot->len;
    }
    op->pieces++;
    if (op->issued >= op->limit)
        ros2i_channel_unqueue(ch, op);
    return slot;
}

/* 0: go on; 1: no credit or no room is left; < 0: the channel is lost. */
static int issue_pieces(struct ros2i_channel *ch, struct ros2i_op *op, int *sent)
{
    while (op->pending) {
        if ((op->flags & ROS2I_OP_APPEND) && op->pieces > 0)
            return 0; /* the next piece has to land behind this one */
        struct ros2i_slot *slot = cut_piece(ch, op);
        if (!slot)
            return 1;
        int rc = send_request(ch, slot);
        if (rc == -EAGAIN)
            return ch->pool ? 0 : 1; /* others may need no bounce memory */
        if (rc < 0)
            return rc;
        ++*sent;
    }
    return 0;
}

/* One piece of it at a time waits for bounce memory, so that others get their turn. */
static bool waits(const struct ros2i_channel *ch, const struct ros2i_op *op)
{
    for (uint32_t i = 0; ch->pool && ch->inflight.queued > 0 && i < ch->inflight.credits; i++)
        if (ch->inflight.slot[i].state == ROS2I_SLOT_QUEUED && ch->inflight.slot[i].op == op)
            return true;
    return false;
}

/* One that finds no bounce memory does not hold up the others: after a lost connection there is none until those that have some
 * already are answered. */
static int resend_queued(struct ros2i_channel *ch, int *sent)
{
    int blocked = 0;
    for (uint32_t i = 0; i < ch->inflight.credits && ch->inflight.queued > 0; i++) {
        if (ch->inflight.slot[i].state != ROS2I_SLOT_QUEUED)
            continue;
        int rc = send_request(ch, &ch->inflight.slot[i]);
        if (rc < 0 && rc != -EAGAIN)
            return rc;
        blocked |= rc == -EAGAIN;
        *sent += rc == 0;
    }
    return ch->pool ? 0 : blocked;
}

int ros2i_request_issue(struct ros2i_channel *ch)
{
    assert(ch->state == ROS2I_CHANNEL_READY);
    int sent = 0;
    int rc = ch->inflight.queued > 0 ? resend_queued(ch, &sent) : 0;
    struct ros2i_op *next;
    for (struct ros2i_op *op = ch->pending.first; op && rc == 0; op = next) {
        next = op->next;
        rc = waits(ch, op) ? 0 : issue_pieces(ch, op, &sent);
    }
    if (rc < 0)
        ros2i_channel_lost(ch, rc);
    else if (sent > 0)
        ch->ops->flush(ch->ep);
    return sent;
}
