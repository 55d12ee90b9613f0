/* SPDX-License-Identifier: Apache-2.0 */
/* READ: engine to memory, memory to the client. Chunks are read two at a time, but checksummed and put in their order, and
 * the transport keeps the order of what is queued on one endpoint: so the REPLY, which rides on the last put, is seen only
 * after all the data. An inline read goes into the place behind the reply's header and leaves as one message.
 *
 * Into memory of the client that is mapped the engine reads itself, and there is no put. The REPLY is then a message of its
 * own, sent once nothing is mapped: also not for a chunk behind the end of file that the engine is still busy with. */
#include "config.h"

#include <errno.h>

#include "daemon/data/connection.h"
#include "daemon/data/request.h"
#include "daemon/data/thread.h"
#include "lib/protocol/checksum.h"

static char *data_of(const struct ros2d_part *part)
{
    return part->req->inlined ? part->buf + ROS2D_INLINE_HEAD : part->buf;
}

/* Gives chunks to the engine while there are any, and memory. */
static int begin_reads(struct ros2d_request *req)
{
    struct ros2d_thread *thread = req->thread;

    while (req->status == 0 && req->begun < req->chunks) {
        struct ros2d_part *part;
        int rc = ros2d_part_begin(req, &part);
        if (rc <= 0)
            return rc;
        uint64_t at = (uint64_t)part->chunk * req->chunk_len;
        ros2d_part_prepare(part);
        rc = ros2d_part_in_engine(part, thread->engine_ops->read(thread->context, req->handle->node,
                                                                 data_of(part), part->len,
                                                                 req->offset + at, &part->io));
        if (rc == -EAGAIN) {
            ros2d_part_unbegin(part);
            ros2d_request_stall(req);
            return 0;
        }
    }
    return 0;
}

static struct ros2d_part *next_landed(struct ros2d_request *req)
{
    for (unsigned i = 0; i < ROS2D_PARTS; i++)
        if (req->part[i].state == ROS2D_PART_LANDED && req->part[i].chunk == req->put)
            return &req->part[i];
    return NULL;
}

static int put_chunk(struct ros2d_request *req, struct ros2d_part *part, bool last)
{
    struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX];
    struct iovec iov = {part->buf, (size_t)part->result};
    uint64_t at = (uint64_t)part->chunk * req->chunk_len;
    int count = ros2d_segments_slice(&req->segments, at, iov.iov_len, remote);

    if (last)
        ros2d_request_encode_reply(req, req->reply, 0);
    return req->conn->ops->put(req->conn->ep, &iov, 1, remote, count, last ? req->reply : NULL,
                               last ? sizeof(req->reply) : 0, &part->op);
}

static int send_inline(struct ros2d_request *req, struct ros2d_part *part)
{
    char *head = part->buf + ROS2D_INLINE_HEAD - ROS2I_WIRE_REPLY_LEN;
    struct iovec iov = {head, ROS2I_WIRE_REPLY_LEN + (size_t)part->result};

    ros2d_request_encode_reply(req, head, (uint32_t)part->result);
    return req->conn->ops->send(req->conn->ep, &iov, 1, &part->op);
}

/* A part that is mapped, or at the end of file, has nothing to send. */
static int send_chunk(struct ros2d_request *req, struct ros2d_part *part, bool with_reply)
{
    int rc;

    if (part->mapped || part->result == 0) {
        ros2d_part_release(part);
        return 0;
    }
    rc = req->inlined ? send_inline(req, part) : put_chunk(req, part, with_reply);
    if (rc == 0)
        ros2d_part_on_wire(part);
    return rc;
}

/* The last chunk was passed on. */
static void finish(struct ros2d_request *req, bool replied)
{
    req->finished = true;
    ros2d_parts_release_landed(req); /* what was read behind the end of file */
    if (replied)
        ros2d_request_replied(req);
    else if (req->mapped == 0)
        req->state = ROS2D_REQUEST_REPLYING;
}

/* The next chunk in order has been read. */
static int pass_on(struct ros2d_request *req, struct ros2d_part *part)
{
    bool last = part->result < part->len || part->chunk == req->chunks - 1;
    bool with_reply = last && part->result > 0 && req->mapped == 0;

    if (!part->counted) {
        if (req->flags & ROS2I_MSG_CHECKSUM)
            req->crc = ros2i_crc32c(req->crc, data_of(part), (size_t)part->result);
        req->bytes += (uint32_t)part->result;
        part->counted = true;
    }
    int rc = send_chunk(req, part, with_reply);
    if (rc < 0)
        return rc;
    req->put++;
    if (last)
        finish(req, with_reply);
    return 0;
}

static int pass_on_all(struct ros2d_request *req)
{
    struct ros2d_part *part;

    while (req->status == 0 && !req->finished && (part = next_landed(req)) != NULL) {
        if (part->result < 0) {
            ros2d_request_fail(req, (uint32_t)-part->result);
            break;
        }
        int rc = pass_on(req, part);
        if (rc == -EAGAIN) {
            ros2d_request_stall(req);
            return 0;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* As long as a pass makes room for the next chunks at once, as it does for mapped ones: no event tells of that room. */
static int read_and_pass_on(struct ros2d_request *req)
{
    uint32_t put;
    int rc;

    do {
        put = req->put;
        rc = begin_reads(req);
        if (rc == 0)
            rc = pass_on_all(req);
    } while (rc == 0 && req->put > put && req->status == 0 && !req->finished);
    return rc;
}

static int pump(struct ros2d_request *req)
{
    int rc;

    if (req->finished) { /* the engine had a chunk behind the end of file */
        if (req->mapped == 0)
            req->state = ROS2D_REQUEST_REPLYING;
        return 0;
    }
    ros2d_request_heed_cancel(req);
    rc = read_and_pass_on(req);
    if (rc < 0 || req->status == 0)
        return rc;
    ros2d_parts_release_landed(req);
    /* Puts that are under way come before the reply in the endpoint's order: no need to wait for them. */
    if (req->in_engine == 0) {
        req->bytes = 0;
        req->state = ROS2D_REQUEST_REPLYING;
    }
    return 0;
}

static void engine_done(struct ros2d_part *part)
{
    if (part->req->state == ROS2D_REQUEST_RUNNING && !part->req->finished)
        part->state = ROS2D_PART_LANDED;
    else
        ros2d_part_release(part); /* behind the end of file, or nobody wants it any more */
}

static void wire_done(struct ros2d_part *part, int status)
{
    (void)status; /* when it failed, the endpoint's closed() follows */
    ros2d_part_release(part);
}

const struct ros2d_request_kind ros2d_read_kind = {
    .pump = pump,
    .engine_done = engine_done,
    .wire_done = wire_done,
};
