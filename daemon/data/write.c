/* SPDX-License-Identifier: Apache-2.0 */
/* WRITE: client to memory (get, or copied out of the message; not where the client's own is mapped), checksum, memory to engine. No block reaches the engine before
 * its checksum was compared. The reply goes when all chunks are written, or when the first error has stopped the rest and
 * nothing is under way or mapped any more: after it the daemon never touches the client's memory. FSYNC is a write without data. */
#include "config.h"

#include <errno.h>

#include "daemon/data/connection.h"
#include "daemon/data/request.h"
#include "daemon/data/thread.h"
#include "lib/base/error.h"
#include "lib/protocol/checksum.h"

/* -- from the client -- */

static int get_chunk(struct ros2d_request *req, struct ros2d_part *part)
{
    struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX];
    struct iovec iov = {part->buf, part->len};
    int count = ros2d_segments_slice(&req->segments, (uint64_t)part->chunk * req->chunk_len,
                                     part->len, remote);

    ros2d_part_prepare(part);
    return req->conn->ops->get(req->conn->ep, &iov, 1, remote, count, &part->op);
}

static int begin_gets(struct ros2d_request *req)
{
    while (req->status == 0 && req->begun < req->chunks) {
        struct ros2d_part *part;
        int rc = ros2d_part_begin(req, &part);
        if (rc <= 0)
            return rc;
        if (part->mapped)
            continue; /* it is here */
        rc = get_chunk(req, part);
        if (rc < 0) {
            ros2d_part_unbegin(part);
            if (rc != -EAGAIN)
                return rc;
            ros2d_request_stall(req);
            return 0;
        }
        ros2d_part_on_wire(part);
    }
    return 0;
}

/* Each block of what the part holds: an append's part holds several. */
static bool is_intact(const struct ros2d_request *req, const struct ros2d_part *part)
{
    uint32_t block_len = req->conn->negotiated.checksum_block;
    uint32_t block = (uint32_t)((uint64_t)part->chunk * req->chunk_len / block_len);

    for (uint32_t at = 0; at < part->len; at += block_len, block++) {
        uint32_t left = part->len - at;
        if (ros2i_crc32c(0, part->buf + at, left < block_len ? left : block_len) !=
            req->crc_in[block])
            return false;
    }
    return true;
}

static void wire_done(struct ros2d_part *part, int status)
{
    struct ros2d_request *req = part->req;

    part->state = ROS2D_PART_LANDED;
    if (status == -EACCES || status == -ERANGE)
        ros2d_request_fail(req, (uint32_t)-status);
    else if (status < 0) {
        ros2d_request_fail(req, ECONNRESET); /* nobody reads it: closed() follows */
        req->severed = true;
    }
}

/* -- to the engine -- */

static void account(struct ros2d_part *part)
{
    struct ros2d_request *req = part->req;

    if (part->result < 0)
        ros2d_request_fail(req, (uint32_t)-part->result);
    else if (part->result != part->len)
        ros2d_request_fail(req, EIO); /* an engine's write is whole or fails */
    else
        req->written |= 1ull << part->chunk;
    if (req->append)
        req->result_offset = part->io.offset;
    ros2d_part_release(part);
}

/* 1: it went, 0: it has to wait. */
static int write_chunk(struct ros2d_request *req, struct ros2d_part *part)
{
    struct ros2d_thread *thread = req->thread;
    uint64_t offset = req->append ? 0 : req->offset + (uint64_t)part->chunk * req->chunk_len;

    if ((req->flags & ROS2I_MSG_CHECKSUM) && !part->counted && !is_intact(req, part)) {
        ros2d_request_fail(req, EBADMSG);
        ros2d_part_release(part);
        return 1;
    }
    part->counted = true; /* not again after a wait */
    ros2d_part_prepare(part);
    int rc = ros2d_part_in_engine(
        part, thread->engine_ops->write(thread->context, req->handle->node, part->buf, part->len,
                                        offset, req->append ? ROS2_IO_APPEND : 0, &part->io));
    if (rc == -EAGAIN) {
        ros2d_request_stall(req);
        return 0;
    }
    if (rc == 1)
        account(part);
    return 1;
}

static bool write_landed(struct ros2d_request *req)
{
    bool went = false;

    for (unsigned i = 0; i < ROS2D_PARTS && req->status == 0; i++)
        if (req->part[i].state == ROS2D_PART_LANDED)
            went |= write_chunk(req, &req->part[i]) == 1;
    return went;
}

static bool is_all_written(const struct ros2d_request *req)
{
    return req->written == (req->chunks == 64 ? UINT64_MAX : (1ull << req->chunks) - 1);
}

/* What was written without a gap from the start. */
static void conclude(struct ros2d_request *req)
{
    uint64_t whole = is_all_written(req)
                         ? req->length
                         : (uint64_t)__builtin_ctzll(~req->written) * req->chunk_len;

    req->bytes = (uint32_t)whole;
    if (req->status)
        req->result_offset = 0;
    if (!req->severed)
        ros2d_request_keep(req);
}

static int pump(struct ros2d_request *req)
{
    ros2d_request_heed_cancel(req);
    do {
        int rc = begin_gets(req);
        if (rc < 0)
            return rc;
    } while (write_landed(req) && req->status == 0 && req->begun < req->chunks);
    if (req->status)
        ros2d_parts_release_landed(req);
    if (req->busy == 0 && (req->status || is_all_written(req))) {
        conclude(req);
        req->state = ROS2D_REQUEST_REPLYING;
    }
    return 0;
}

static void engine_done(struct ros2d_part *part)
{
    struct ros2d_request *req = part->req;

    account(part);
    /* Its channel is gone. What was dropped before the engine had it is done again by a replay; a whole result is kept. */
    if (req->state == ROS2D_REQUEST_ORPHANED && req->in_engine == 0 &&
        (req->status || is_all_written(req)))
        conclude(req);
}

const struct ros2d_request_kind ros2d_write_kind = {
    .pump = pump,
    .engine_done = engine_done,
    .wire_done = wire_done,
};

/* -- fsync -- */

static void sync_done(struct ros2d_part *part)
{
    struct ros2d_request *req = part->req;

    if (part->result < 0)
        ros2d_request_fail(req, (uint32_t)-part->result);
    part->state = ROS2D_PART_FREE;
    req->busy--;
    if (req->state == ROS2D_REQUEST_RUNNING)
        req->state = ROS2D_REQUEST_REPLYING;
}

static int sync_pump(struct ros2d_request *req)
{
    struct ros2d_thread *thread = req->thread;
    struct ros2d_part *part = &req->part[0];

    if (req->handed > 0)
        return 0;
    ros2d_request_heed_cancel(req);
    if (req->status) {
        req->state = ROS2D_REQUEST_REPLYING;
        return 0;
    }
    ros2d_part_prepare(part);
    part->state = ROS2D_PART_LANDED;
    req->busy++;
    int rc = ros2d_part_in_engine(
        part, thread->engine_ops->fsync(thread->context, req->handle->node,
                                        req->flags & ROS2I_MSG_DATASYNC ? ROS2_IO_DATASYNC : 0,
                                        &part->io));
    if (rc == 1) {
        sync_done(part);
    } else if (rc == -EAGAIN) {
        part->state = ROS2D_PART_FREE;
        req->busy--;
        ros2d_request_stall(req);
    }
    return 0;
}

const struct ros2d_request_kind ros2d_fsync_kind = {
    .pump = sync_pump,
    .engine_done = sync_done,
};
