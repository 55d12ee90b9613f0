/* SPDX-License-Identifier: Apache-2.0 */
/* The read pipeline. Owner: the data thread.
 *
 * Chunks go through the engine in any order but are put in the order of the file, and the last put carries the reply: an
 * endpoint delivers what is queued on it in order, so no reply can overtake its data. The window bounds what is queued on
 * one connection, so that a chunk is sent while it is still in cache; chunks that wait for a disk do not count. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/data/thread.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/protocol/checksum.h"

static struct ros2d_piece *piece_of_io(struct ros2_io *io)
{
    return (struct ros2d_piece *)((char *)io - offsetof(struct ros2d_piece, io));
}

static struct ros2d_piece *piece_of_op(struct ros2_op *op)
{
    return (struct ros2d_piece *)((char *)op - offsetof(struct ros2d_piece, op));
}

static void read_ended(struct ros2d_piece *piece)
{
    struct ros2d_request *r = piece->request;

    r->engine_ns = ros2i_now_ns() - r->engine_start_ns;
    piece->state = ROS2D_PIECE_READ;
    if (piece->io.result < 0) {
        ros2d_request_failed(r, piece->at, (int)piece->io.result);
        piece->len = 0;
    } else if ((uint64_t)piece->io.result < piece->len) {
        piece->len = (uint32_t)piece->io.result;
        if (piece->at + piece->len < r->end)
            r->end = piece->at + piece->len; /* end of file: nothing behind it is put */
    }
}

static void on_read(struct ros2_io *io)
{
    struct ros2d_piece *piece = piece_of_io(io);
    struct ros2d_request *r = piece->request;

    r->thread->room = true; /* in the engine */
    read_ended(piece);
    if (!r->connection)
        ros2d_piece_release(piece);
    ros2d_request_advance(r);
}

/* 0: the engine has it or it is read; -EAGAIN: no room in the engine. */
static int start_read(struct ros2d_request *r, struct ros2d_piece *piece, void *buffer,
                      uint32_t len)
{
    struct ros2d_thread *thread = r->thread;
    int rc;

    piece->at = r->issued;
    piece->len = len;
    piece->io.done = on_read;
    ros2d_request_engine_started(r);
    rc = thread->engine->read(thread->io, r->handle->node, buffer, len, r->offset + r->issued,
                              &piece->io);
    if (rc == -EAGAIN)
        return rc;
    piece->buffer = buffer;
    piece->state = ROS2D_PIECE_ENGINE;
    r->issued += len;
    if (rc == 1)
        read_ended(piece);
    return 0;
}

/* -- inline: one buffer holds the reply's header and behind it the data -- */

static void on_inline_sent(struct ros2_op *op, int status)
{
    struct ros2d_piece *piece = piece_of_op(op);

    (void)status; /* a connection that broke says so itself */
    piece->buffer = NULL;
    piece->state = ROS2D_PIECE_FREE;
    ros2d_request_end(piece->request);
}

static enum ros2d_progress send_inline(struct ros2d_request *r, struct ros2d_piece *piece)
{
    struct ros2d_thread *thread = r->thread;
    struct ros2i_msg msg;
    struct iovec iov = {.iov_base = r->small, .iov_len = ROS2I_WIRE_REPLY_LEN + (size_t)piece->len};
    int rc;

    if (r->flags & ROS2I_MSG_CHECKSUM)
        r->crc = ros2i_crc32c(0, r->small + ROS2I_WIRE_REPLY_LEN, piece->len);
    ros2d_request_reply(r, piece->len, &msg);
    msg.u.reply.payload_len = piece->len;
    msg.u.reply.payload = r->small + ROS2I_WIRE_REPLY_LEN;
    rc = ros2i_wire_encode(&msg, r->small, ROS2I_WIRE_REPLY_LEN);
    assert(rc == ROS2I_WIRE_REPLY_LEN);
    piece->op.done = on_inline_sent;
    rc = thread->transport->send(r->connection->ep, &iov, 1, &piece->op);
    if (rc == -EAGAIN)
        return ROS2D_WAIT_ROOM;
    if (rc < 0) {
        ros2d_connection_doom(r->connection, "send");
        piece->state = ROS2D_PIECE_FREE;
        return ros2d_request_end(r);
    }
    thread->count.read_bytes += piece->len;
    piece->state = ROS2D_PIECE_MOVING;
    r->state = ROS2D_REQUEST_AWAIT_SENT;
    ros2d_request_replied(r);
    return ROS2D_WAIT_PIECES;
}

static enum ros2d_progress run_inline(struct ros2d_request *r)
{
    struct ros2d_piece *piece = &r->piece[0];

    if (!r->started) {
        if (!ros2d_request_live(r))
            return ros2d_request_end(r);
        if (r->cancelled) {
            ros2d_request_failed(r, 0, -ECANCELED);
            return ros2d_request_answer(r, 0);
        }
        if (!r->small)
            r->small = ros2d_bounce_lease(&r->thread->bounce.small);
        if (!r->small)
            return ROS2D_WAIT_ROOM;
        if (start_read(r, piece, r->small + ROS2I_WIRE_REPLY_LEN, r->length) < 0) {
            r->started = false;
            return ROS2D_WAIT_ROOM;
        }
        piece->buffer = NULL; /* it is the request's own, r->small */
    }
    if (piece->state == ROS2D_PIECE_ENGINE)
        return ROS2D_WAIT_PIECES;
    if (!ros2d_request_live(r)) {
        piece->state = ROS2D_PIECE_FREE;
        return ros2d_request_end(r);
    }
    if (r->error != 0) {
        piece->state = ROS2D_PIECE_FREE;
        return ros2d_request_answer(r, 0);
    }
    return send_inline(r, piece);
}

/* -- chunks -- */

static void on_put(struct ros2_op *op, int status)
{
    struct ros2d_piece *piece = piece_of_op(op);
    struct ros2d_request *r = piece->request;

    (void)status;
    ros2d_window_sub(r, piece->len);
    ros2d_piece_release(piece);
    ros2d_request_advance(r);
}

/* The piece that is next in the order of the file, if it has been read. */
static struct ros2d_piece *next_to_put(struct ros2d_request *r)
{
    for (int i = 0; i < ROS2D_PIECES; i++) {
        if (r->piece[i].state == ROS2D_PIECE_READ && r->piece[i].at == r->finished)
            return &r->piece[i];
    }
    return NULL;
}

static bool wanted(const struct ros2d_request *r, const struct ros2d_piece *piece)
{
    return piece->len > 0 && piece->at < r->end && (r->error == 0 || piece->at < r->error_at);
}

/* 0, or -EAGAIN: no room in the transport. */
static int put_piece(struct ros2d_request *r, struct ros2d_piece *piece)
{
    struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX];
    const struct iovec src = {.iov_base = piece->buffer, .iov_len = piece->len};
    int count = ros2d_request_remotes(r, piece->at, piece->len, remote);
    uint32_t crc = r->crc;
    bool last = piece->at + piece->len == r->end && r->error == 0;
    size_t reply_len = 0;
    struct ros2i_msg msg;
    int rc;

    if (r->flags & ROS2I_MSG_CHECKSUM)
        r->crc = ros2i_crc32c(r->crc, piece->buffer, piece->len);
    if (last) {
        ros2d_request_reply(r, r->end, &msg);
        reply_len = (size_t)ros2i_wire_encode(&msg, r->reply, sizeof(r->reply));
    }
    piece->op.done = on_put;
    rc = r->thread->transport->put(r->connection->ep, &src, 1, remote, count, r->reply, reply_len,
                                   &piece->op);
    if (rc < 0) {
        r->crc = crc;
        if (rc != -EAGAIN)
            ros2d_connection_doom(r->connection, "put");
        return -EAGAIN;
    }
    piece->state = ROS2D_PIECE_MOVING;
    ros2d_window_add(r, piece->len);
    r->finished += piece->len;
    r->thread->count.read_bytes += piece->len;
    if (last)
        ros2d_request_replied(r);
    return 0;
}

/* -EAGAIN: the transport has no room. */
static int put_what_is_read(struct ros2d_request *r)
{
    struct ros2d_piece *piece;

    while ((piece = next_to_put(r)) && wanted(r, piece)) {
        if (put_piece(r, piece) < 0)
            return -EAGAIN;
    }
    /* Behind the end of file or an error nothing is put. */
    for (int i = 0; i < ROS2D_PIECES; i++) {
        if (r->piece[i].state == ROS2D_PIECE_READ && !wanted(r, &r->piece[i]))
            ros2d_piece_release(&r->piece[i]);
    }
    return 0;
}

static enum ros2d_progress issue_reads(struct ros2d_request *r)
{
    struct ros2d_thread *thread = r->thread;
    uint32_t chunk = thread->config->data.chunk;
    struct ros2d_piece *piece;

    while (r->issued < r->end && r->error == 0 && !r->cancelled &&
           (piece = ros2d_request_free_piece(r))) {
        uint32_t len = r->end - r->issued < chunk ? r->end - r->issued : chunk;
        void *buffer;

        if (!ros2d_window_open(r))
            return ROS2D_WAIT_WINDOW;
        buffer = ros2d_bounce_lease(&thread->bounce.chunk);
        if (!buffer)
            return ROS2D_WAIT_ROOM;
        if (start_read(r, piece, buffer, len) < 0) {
            ros2d_bounce_release(&thread->bounce.chunk, buffer);
            return ROS2D_WAIT_ROOM;
        }
        if (put_what_is_read(r) < 0)
            return ROS2D_WAIT_ROOM;
    }
    return ROS2D_WAIT_PIECES;
}

static void drop_read_pieces(struct ros2d_request *r)
{
    for (int i = 0; i < ROS2D_PIECES; i++) {
        if (r->piece[i].state == ROS2D_PIECE_READ)
            ros2d_piece_release(&r->piece[i]);
    }
}

static enum ros2d_progress run_chunks(struct ros2d_request *r)
{
    enum ros2d_progress progress;

    if (!ros2d_request_live(r)) {
        drop_read_pieces(r);
        return ros2d_request_idle(r) ? ros2d_request_end(r) : ROS2D_WAIT_PIECES;
    }
    if (put_what_is_read(r) < 0)
        return ROS2D_WAIT_ROOM;
    progress = issue_reads(r);
    if (progress != ROS2D_WAIT_PIECES || !ros2d_request_idle(r))
        return progress; /* pieces that are out bring it back too, maybe earlier */
    if (r->replied)
        return ros2d_request_end(r);
    if (r->cancelled && r->finished < r->end)
        ros2d_request_failed(r, r->finished, -ECANCELED);
    return ros2d_request_answer(r, r->error != 0 ? 0 : r->finished);
}

enum ros2d_progress ros2d_read_run(struct ros2d_request *r)
{
    if (r->error != 0 && !r->started)
        return ros2d_request_answer(r, 0);
    return r->inlined ? run_inline(r) : run_chunks(r);
}
