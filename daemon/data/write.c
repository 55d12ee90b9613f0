/* SPDX-License-Identifier: Apache-2.0 */
/* The write pipeline and fsync. Owner: the data thread.
 *
 * Each block is checked against its CRC before it reaches the engine. A write of several chunks ends with the first error:
 * chunks are started in order and none after an error, so all before error_at have been written. Appends go to the engine
 * as one operation, so that they never tear; their data is gathered first. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

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

/* data: the range's bytes [at, at + len); at is a multiple of the chunk, which is the checksum block. */
static bool checksums_match(const struct ros2d_request *r, uint32_t at, const uint8_t *data,
                            uint32_t len)
{
    uint32_t chunk = r->thread->config->data.chunk;

    if (!(r->flags & ROS2I_MSG_CHECKSUM))
        return true;
    for (uint32_t done = 0; done < len || len == 0; done += chunk) {
        uint32_t n = len - done < chunk ? len - done : chunk;

        if (ros2i_crc32c(0, data + done, n) != r->crcs[(at + done) / chunk])
            return false;
        if (len == 0)
            break;
    }
    return true;
}

static void write_ended(struct ros2d_piece *piece)
{
    struct ros2d_request *r = piece->request;

    r->engine_ns = ros2i_now_ns() - r->engine_start_ns;
    if (piece->io.result < 0)
        ros2d_request_failed(r, piece->at, (int)piece->io.result);
    else if ((uint64_t)piece->io.result != piece->len)
        ros2d_request_failed(r, piece->at,
                             -EIO); /* the engine broke its promise: whole or an error */
    else
        r->written += piece->len;
    r->thread->count.written_bytes += piece->io.result > 0 ? (uint64_t)piece->io.result : 0;
    if (r->append)
        r->write_offset = piece->io.offset;
    ros2d_piece_release(piece);
}

static void on_written(struct ros2_io *io)
{
    struct ros2d_piece *piece = piece_of_io(io);
    struct ros2d_request *r = piece->request;

    r->thread->room = true; /* in the engine */
    write_ended(piece);
    ros2d_request_advance(r);
}

/* The piece's data is complete and checked. 0, or -EAGAIN: no room in the engine. */
static int start_write(struct ros2d_piece *piece)
{
    struct ros2d_request *r = piece->request;
    struct ros2d_thread *thread = r->thread;
    int rc;

    piece->io.done = on_written;
    ros2d_request_engine_started(r);
    rc = thread->engine->write(thread->io, r->handle->node, piece->buffer, piece->len,
                               r->offset + piece->at, r->append ? ROS2_IO_APPEND : 0, &piece->io);
    if (rc == -EAGAIN)
        return rc;
    piece->state = ROS2D_PIECE_ENGINE;
    if (rc == 1)
        write_ended(piece);
    return 0;
}

/* -- getting the data -- */

static void on_got(struct ros2_op *op, int status)
{
    struct ros2d_piece *piece = piece_of_op(op);
    struct ros2d_request *r = piece->request;

    ros2d_window_sub(r, piece->len);
    if (status < 0)
        ros2d_request_failed(r, piece->at, status);
    else if (!checksums_match(r, piece->at, piece->buffer, piece->len))
        ros2d_request_failed(r, piece->at, -EBADMSG);
    if (r->error != 0 && piece->at >= r->error_at)
        ros2d_piece_release(piece);
    else
        piece->state = ROS2D_PIECE_READ;
    ros2d_request_advance(r);
}

/* 0, or -EAGAIN: no room in the transport. */
static int start_get(struct ros2d_request *r, struct ros2d_piece *piece, uint8_t *buffer,
                     uint32_t len)
{
    struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX];
    const struct iovec dst = {.iov_base = buffer, .iov_len = len};
    int count = ros2d_request_remotes(r, r->issued, len, remote);
    int rc;

    piece->at = r->issued;
    piece->len = len;
    piece->op.done = on_got;
    rc = r->thread->transport->get(r->connection->ep, &dst, 1, remote, count, &piece->op);
    if (rc < 0) {
        if (rc != -EAGAIN)
            ros2d_connection_doom(r->connection, "get");
        return -EAGAIN;
    }
    r->started = true;
    piece->buffer = buffer;
    piece->state = ROS2D_PIECE_MOVING;
    ros2d_window_add(r, len);
    r->issued += len;
    return 0;
}

static enum ros2d_progress issue_gets(struct ros2d_request *r)
{
    struct ros2d_thread *thread = r->thread;
    uint32_t chunk = thread->config->data.chunk;
    struct ros2d_piece *piece;

    while (r->issued < r->length && r->error == 0 && !r->cancelled &&
           (piece = ros2d_request_free_piece(r))) {
        uint32_t len = r->length - r->issued < chunk ? r->length - r->issued : chunk;
        uint8_t *buffer;

        if (!ros2d_window_open(r))
            return ROS2D_WAIT_WINDOW;
        buffer = ros2d_bounce_lease(&thread->bounce.chunk);
        if (!buffer)
            return ROS2D_WAIT_ROOM;
        if (start_get(r, piece, buffer, len) < 0) {
            ros2d_bounce_release(&thread->bounce.chunk, buffer);
            return ROS2D_WAIT_ROOM;
        }
    }
    return ROS2D_WAIT_PIECES;
}

/* The whole range as one piece: from the message, or gathered into memory of its own. That memory is allocated for each large
 * append: they are rare, and nothing smaller than max_io per connection could be kept for them. */
static enum ros2d_progress issue_whole(struct ros2d_request *r)
{
    struct ros2d_piece *piece = &r->piece[0];

    if (r->issued == r->length && r->started)
        return ROS2D_WAIT_PIECES;
    if (r->inlined) {
        if (!checksums_match(r, 0, r->small, r->length)) {
            ros2d_request_failed(r, 0, -EBADMSG);
            return ROS2D_WAIT_PIECES;
        }
        piece->at = 0;
        piece->len = r->issued = r->length;
        piece->buffer = r->small;
        piece->state = ROS2D_PIECE_READ;
        r->started = true;
        return ROS2D_WAIT_PIECES;
    }
    if (!ros2d_window_open(r))
        return ROS2D_WAIT_WINDOW;
    if (!r->gather)
        r->gather = malloc(r->length);
    if (!r->gather) {
        ros2d_request_failed(r, 0, -ENOMEM);
        return ROS2D_WAIT_PIECES;
    }
    return start_get(r, piece, r->gather, r->length) < 0 ? ROS2D_WAIT_ROOM : ROS2D_WAIT_PIECES;
}

/* Hands what has arrived to the engine. -EAGAIN: no room there. */
static int write_what_has_arrived(struct ros2d_request *r)
{
    for (int i = 0; i < ROS2D_PIECES; i++) {
        struct ros2d_piece *piece = &r->piece[i];

        if (piece->state != ROS2D_PIECE_READ)
            continue;
        if (r->cancelled || (r->error != 0 && piece->at >= r->error_at)) {
            ros2d_request_failed(r, piece->at, -ECANCELED);
            ros2d_piece_release(piece);
        } else if (start_write(piece) < 0) {
            return -EAGAIN;
        }
    }
    return 0;
}

static enum ros2d_progress run_without_connection(struct ros2d_request *r)
{
    for (int i = 0; i < ROS2D_PIECES; i++) {
        if (r->piece[i].state == ROS2D_PIECE_READ)
            ros2d_piece_release(&r->piece[i]);
        else if (r->piece[i].state != ROS2D_PIECE_FREE)
            return ROS2D_WAIT_PIECES;
    }
    /* All of it was done although nobody could be told: a replay is answered, not repeated. */
    if (r->started && r->error == 0 && r->issued == r->length && r->written == r->length)
        ros2d_queue_state_record(r->queue, r->id, 0, r->length, r->write_offset);
    return ros2d_request_end(r);
}

enum ros2d_progress ros2d_write_run(struct ros2d_request *r)
{
    enum ros2d_progress progress = ROS2D_WAIT_PIECES;

    if (!ros2d_request_live(r))
        return run_without_connection(r);
    if (r->error != 0 && !r->started)
        return ros2d_request_answer(r, 0);
    if (r->error == 0 && !r->cancelled)
        progress = r->append || r->inlined ? issue_whole(r) : issue_gets(r);
    if (write_what_has_arrived(r) < 0)
        return ROS2D_WAIT_ROOM;
    if (r->error == 0 && !r->cancelled && progress == ROS2D_WAIT_PIECES && r->issued < r->length &&
        ros2d_request_free_piece(r))
        return ros2d_write_run(r); /* the engine was done at once: at most length / chunk deep */
    if (progress != ROS2D_WAIT_PIECES || !ros2d_request_idle(r))
        return progress;
    if (r->cancelled && r->issued < r->length)
        ros2d_request_failed(r, r->issued, -ECANCELED);
    return ros2d_request_answer(r, r->error != 0 ? r->error_at : r->length);
}

/* -- fsync -- */

static void on_synced(struct ros2_io *io)
{
    struct ros2d_piece *piece = piece_of_io(io);
    struct ros2d_request *r = piece->request;

    r->thread->room = true;
    r->engine_ns = ros2i_now_ns() - r->engine_start_ns;
    piece->state = ROS2D_PIECE_FREE;
    if (io->result < 0)
        ros2d_request_failed(r, 0, (int)io->result);
    ros2d_request_advance(r);
}

enum ros2d_progress ros2d_fsync_run(struct ros2d_request *r)
{
    struct ros2d_thread *thread = r->thread;
    struct ros2d_piece *piece = &r->piece[0];
    int rc;

    if (piece->state == ROS2D_PIECE_ENGINE)
        return ROS2D_WAIT_PIECES;
    if (!ros2d_request_live(r))
        return ros2d_request_end(r);
    if (r->error == 0 && !r->started && r->cancelled)
        ros2d_request_failed(r, 0, -ECANCELED);
    if (r->error != 0 || r->started)
        return ros2d_request_answer(r, 0);
    piece->io.done = on_synced;
    rc = thread->engine->fsync(thread->io, r->handle->node,
                               r->flags & ROS2I_MSG_DATASYNC ? ROS2_IO_DATASYNC : 0, &piece->io);
    if (rc == -EAGAIN)
        return ROS2D_WAIT_ROOM;
    ros2d_request_engine_started(r);
    if (rc == 0) {
        piece->state = ROS2D_PIECE_ENGINE;
        return ROS2D_WAIT_PIECES;
    }
    if (piece->io.result < 0)
        ros2d_request_failed(r, 0, (int)piece->io.result);
    return ros2d_request_answer(r, 0);
}
