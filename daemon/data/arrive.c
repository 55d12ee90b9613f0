/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives is judged here, before anything of it is used: shape and slot (a breach closes the channel), then handle,
 * rights and segments (the REPLY says no). */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/connection.h"
#include "daemon/data/request.h"
#include "daemon/data/thread.h"
#include "daemon/data/vector.h"
#include "lib/base/error.h"

/* Requests whose reply the client may have while the transport has yet to report it sent: as many as it takes up between
 * two reports (on tcp some 64 frames), with room to spare. */
#define LEAVING_MAX 256

static int breach(const char *what, uint64_t id)
{
    return ros2i_fail(EPROTO, "request 0x%llx: %s", (unsigned long long)id, what);
}

/* inlined: bytes of results and data that are to ride in a message; 0: the data has segments. */
static int check_transfer(const struct ros2d_connection *conn, const struct ros2i_msg *msg,
                          uint32_t length, uint32_t inlined)
{
    const struct ros2d_negotiated *n = &conn->negotiated;
    bool checksum = n->options & ROS2I_OPTION_CHECKSUM;

    if (length > n->max_io)
        return breach("it is longer than max_io", msg->request_id);
    if (inlined > n->inline_limit)
        return breach("it is longer than the inline limit", msg->request_id);
    if (!(msg->flags & ROS2I_MSG_CHECKSUM) == checksum)
        return breach("checksums are not as settled", msg->request_id);
    return 0;
}

static int check_io(const struct ros2d_connection *conn, const struct ros2i_msg *msg)
{
    const struct ros2d_negotiated *n = &conn->negotiated;
    const struct ros2i_io_request *io = &msg->u.io;
    uint32_t crcs = io->length > 0 ? (io->length - 1) / n->checksum_block + 1 : 1;
    int rc = check_transfer(conn, msg, io->length, io->segment_count == 0 ? io->length : 0);

    if (rc < 0)
        return rc;
    if (msg->type == ROS2I_MSG_WRITE && (n->options & ROS2I_OPTION_CHECKSUM) &&
        io->crc_count != crcs)
        return breach("its count of checksums is wrong", msg->request_id);
    return 0;
}

static int check_vector(const struct ros2d_connection *conn, const struct ros2i_msg *msg)
{
    const struct ros2i_vector_request *v = &msg->u.vector;
    uint32_t inlined =
        v->segment_count == 0 ? v->length + v->extent_count * ROS2I_WIRE_RESULT_LEN : 0;

    /* Results alone ride in any reply. */
    return check_transfer(conn, msg, v->length, v->length > 0 ? inlined : 0);
}

/* What a client that follows the protocol never sends. */
static int check_shape(const struct ros2d_connection *conn, const struct ros2i_msg *msg)
{
    const struct ros2d_negotiated *n = &conn->negotiated;

    if (ros2i_request_slot(msg->request_id) >= n->credits)
        return breach("its slot is out of range", msg->request_id);
    if (conn->slot[ros2i_request_slot(msg->request_id)])
        return breach("its slot has a request in flight", msg->request_id);
    if (conn->request_count >= 2 * n->credits + LEAVING_MAX)
        return breach("more requests than credits", msg->request_id);
    if (msg->type == ROS2I_MSG_READV)
        return check_vector(conn, msg);
    if (msg->type == ROS2I_MSG_READ || msg->type == ROS2I_MSG_WRITE)
        return check_io(conn, msg);
    return 0;
}

static int send_kept(struct ros2d_connection *conn, uint64_t id,
                     const struct ros2d_slot_memory *slot)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_REPLY, .request_id = id};
    uint8_t buf[ROS2I_WIRE_REPLY_LEN];
    struct iovec iov = {buf, sizeof(buf)};

    msg.u.reply.status = slot->status;
    msg.u.reply.bytes = slot->bytes;
    msg.u.reply.offset = slot->offset;
    msg.u.reply.durability_epoch = slot->durability_epoch;
    ros2i_wire_encode(&msg, buf, sizeof(buf));
    ros2d_count(&conn->thread->counters.replays, 1);
    /* No room: the domain's send queue holds a reply for every slot, so this peer does not read. */
    return conn->ops->send(conn->ep, &iov, 1, NULL) < 0
               ? ros2i_fail(EPROTO, "replays are sent faster than their replies are taken")
               : 0;
}

static uint32_t take_handle(struct ros2d_request *req, uint64_t handle)
{
    uint32_t rights;

    req->handle = ros2d_handles_get(req->thread->state->handles, req->conn->session, handle);
    if (!req->handle)
        return EBADF;
    if (req->handle->directory && req->type != ROS2I_MSG_FSYNC)
        return EISDIR;
    rights = req->handle->rights;
    if (req->type == ROS2I_MSG_READ && !(rights & ROS2I_RIGHT_READ))
        return EBADF;
    if (req->type == ROS2I_MSG_WRITE && !(rights & (ROS2I_RIGHT_WRITE | ROS2I_RIGHT_APPEND)))
        return EBADF;
    req->append = req->type == ROS2I_MSG_WRITE && (rights & ROS2I_RIGHT_APPEND);
    return 0;
}

static void choose_memory(struct ros2d_request *req)
{
    struct ros2d_thread *thread = req->thread;
    struct ros2d_connection *conn = req->conn;

    req->inlined = req->segments.count == 0;
    if (req->inlined) {
        req->pool = &thread->small;
        req->held = &conn->small_held;
        req->chunk_len = req->length;
        req->units = 1;
    } else {
        req->pool = &thread->chunks;
        req->held = &conn->chunks_held;
        /* An append is one engine write, or it could be torn: all its data in one piece of memory. */
        req->chunk_len = req->append ? req->length : conn->negotiated.checksum_block;
        req->units = (uint32_t)((req->chunk_len - 1) / thread->chunks.unit_len + 1);
        req->mappable = (conn->ops->flags & ROS2_TRANSPORT_MAP_PEER) != 0;
    }
    req->chunks = req->length > 0 ? (req->length - 1) / req->chunk_len + 1 : 0;
}

/* An inline payload is borrowed for the time of this call, and the engine may want it for longer. */
static uint32_t copy_payload(struct ros2d_request *req, const void *payload)
{
    struct ros2d_part *part = &req->part[0];

    if (ros2d_bounce_get(req->pool, 1, req->held, &part->lease)) {
        part->buf = ros2d_bounce_addr(req->pool, part->lease);
    } else {
        /* The one allocation per request that there is: only when the pool is used up, at most inline_limit bytes for
         * each credit, and better than to let a channel's other requests wait behind this one. */
        part->heap = malloc(req->length);
        if (!part->heap)
            return ENOMEM;
        part->buf = part->heap;
    }
    memcpy(part->buf, payload, req->length);
    part->chunk = req->begun++;
    part->len = req->length;
    part->state = ROS2D_PART_LANDED;
    req->busy++;
    return 0;
}

static uint32_t take_io(struct ros2d_request *req, const struct ros2i_io_request *io,
                        uint32_t (*check)(struct ros2d_request *req,
                                          const struct ros2i_io_request *io))
{
    uint32_t right =
        req->type == ROS2I_MSG_WRITE ? ROS2_REGION_REMOTE_READ : ROS2_REGION_REMOTE_WRITE;
    uint32_t status = take_handle(req, io->handle);
    int rc;

    if (status)
        return status;
    if (req->append && (req->flags & ROS2I_MSG_REPLAY))
        return ENOTRECOVERABLE;
    req->offset = io->offset;
    req->length = io->length;
    rc = ros2d_segments_resolve(req->conn, io->segment, io->segment_count, right, &req->segments);
    if (rc < 0)
        return (uint32_t)-rc;
    choose_memory(req);
    return check(req, io);
}

static uint32_t check_read(struct ros2d_request *req, const struct ros2i_io_request *io)
{
    (void)req;
    (void)io;
    return 0;
}

static uint32_t check_write(struct ros2d_request *req, const struct ros2i_io_request *io)
{
    if (req->append && !(req->handle->tenant->engine_ops->flags & ROS2_ENGINE_ATOMIC_APPEND))
        return EOPNOTSUPP;
    memcpy(req->crc_in, io->crc, io->crc_count * sizeof(io->crc[0]));
    if (req->length == 0)
        return io->crc_count > 0 && io->crc[0] != 0 ? EBADMSG : 0;
    return req->inlined ? copy_payload(req, io->payload) : 0;
}

static uint32_t take_vector(struct ros2d_request *req, const struct ros2i_vector_request *v)
{
    uint32_t status = ros2d_vector_take(req, v);
    int rc;

    ros2d_count(&req->thread->counters.vectors, 1);
    ros2d_count(&req->thread->counters.extents, v->extent_count);
    if (status)
        return status;
    req->length = v->length;
    rc = ros2d_segments_resolve(req->conn, v->segment, v->segment_count, ROS2_REGION_REMOTE_WRITE,
                                &req->segments);
    if (rc < 0)
        return (uint32_t)-rc;
    choose_memory(req);
    if (req->length > 0)
        req->chunks = UINT32_MAX; /* not known yet: its parts end where the memory does */
    return 0;
}

/* Their nodes are closed by a control thread: to close one may block. */
static uint32_t close_handles(struct ros2d_request *req, const struct ros2i_close_request *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        ros2d_handles_close_later(req->thread->state->handles, req->conn->session,
                                  ros2i_close_get(c->handles, i));
    ros2d_count(&req->thread->counters.closes, c->count);
    return 0;
}

static uint32_t take_up(struct ros2d_request *req, const struct ros2i_msg *msg)
{
    struct ros2d_counters *counters = &req->thread->counters;

    switch (msg->type) {
    case ROS2I_MSG_READ:
        req->kind = &ros2d_read_kind;
        ros2d_count(&counters->reads, 1);
        return take_io(req, &msg->u.io, check_read);
    case ROS2I_MSG_WRITE:
        req->kind = &ros2d_write_kind;
        ros2d_count(&counters->writes, 1);
        return take_io(req, &msg->u.io, check_write);
    case ROS2I_MSG_READV:
        req->kind = &ros2d_read_vector_kind;
        return take_vector(req, &msg->u.vector);
    case ROS2I_MSG_CLOSE:
        return close_handles(req, &msg->u.close); /* and it is done */
    default:
        req->kind = &ros2d_fsync_kind;
        req->chunks = 1;
        ros2d_count(&counters->fsyncs, 1);
        return take_handle(req, msg->u.handle);
    }
}

int ros2d_request_arrived(struct ros2d_connection *conn, const struct ros2i_msg *msg)
{
    struct ros2d_slot_memory *memory;
    struct ros2d_request *req;
    int rc = check_shape(conn, msg);

    if (rc < 0)
        return rc;
    memory = &conn->queue->slot[ros2i_request_slot(msg->request_id)];
    switch (ros2d_slot_admit(memory, msg->request_id, msg->flags & ROS2I_MSG_REPLAY)) {
    case ROS2D_ADMIT_BREACH:
        return breach("its sequence is not above the slot's last", msg->request_id);
    case ROS2D_ADMIT_KEPT:
        return send_kept(conn, msg->request_id, memory);
    case ROS2D_ADMIT_EXECUTE:
    case ROS2D_ADMIT_UNKNOWN:
        break;
    }
    req = ros2d_request_create(conn, msg);
    if (!req)
        return ros2i_fail(EPROTO, "out of memory for a request");
    req->status = take_up(req, msg);
    if (req->status || req->chunks == 0) {
        /* Refused before anything happened, or nothing to do. */
        ros2d_parts_release_landed(req);
        ros2d_request_keep(req);
        req->state = ROS2D_REQUEST_REPLYING;
    }
    ros2d_request_step(req);
    return 0;
}
