/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a request: their memory, and the completions of engine and transport. Always holds: busy counts the parts that
 * are not FREE, in_engine those in the engine, mapped those whose memory is the client's own; a part has memory exactly while it
 * is not FREE (but an fsync's has none). A mapping outlives its connection when the engine is not done with it, but not its
 * lane: the thread ends only once the engine has nothing more. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/data/connection.h"
#include "daemon/data/request.h"
#include "daemon/data/thread.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

static bool find_memory(struct ros2d_request *req, struct ros2d_lease *lease_p)
{
    if (req->waiter.lease.units > 0) {
        *lease_p = req->waiter.lease;
        req->waiter.lease.units = 0;
        req->waiting = false;
        return true;
    }
    if (req->waiting)
        return false;
    if (ros2d_bounce_get(req->pool, req->units, req->held, lease_p))
        return true;
    /* With a part under way it will be back anyhow: only who has nothing stands in line. */
    if (req->busy > 0)
        return false;
    req->waiting = true;
    ros2d_bounce_wait(req->pool, &req->waiter, req->units, req->held);
    return req->waiter.lease.units > 0 &&
           find_memory(req, lease_p); /* those before it may all be at their caps */
}

/* Where the transport can, and the chunk lies in one piece of the client's memory, that is the part's memory: the engine's
 * copy is then the only one. 1: mapped; 0: it takes memory of the pool; -EPROTO. */
static int map_chunk(struct ros2d_part *part, uint64_t at)
{
    struct ros2d_request *req = part->req;
    unsigned right =
        req->type == ROS2I_MSG_WRITE ? ROS2_REGION_REMOTE_READ : ROS2_REGION_REMOTE_WRITE;
    struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX];
    void *addr;
    int rc;

    if (!req->mappable || ros2d_segments_slice(&req->segments, at, part->len, remote) != 1)
        return 0;
    rc = req->conn->ops->region_map(req->conn->ep, right, &remote[0], &addr, &part->mapping);
    if (rc == -EACCES || rc == -ERANGE)
        return ros2i_fail(EPROTO, "request 0x%" PRIx64 ": it names memory that %s", req->id,
                          rc == -EACCES ? "is no region of the client with that right"
                                        : "goes past the client's region");
    if (rc < 0) {
        req->mappable =
            false; /* out of mappings, or the endpoint is dying, which a put or get will tell */
        return 0;
    }
    part->buf = addr;
    part->mapped = true;
    req->mapped++;
    return 1;
}

int ros2d_part_begin_at(struct ros2d_request *req, uint64_t at, uint32_t len,
                        struct ros2d_part **part_p)
{
    struct ros2d_part *part = NULL;

    for (unsigned i = 0; i < ROS2D_PARTS && !part; i++)
        if (req->part[i].state == ROS2D_PART_FREE)
            part = &req->part[i];
    if (!part)
        return 0;
    part->len = len;
    int rc = map_chunk(part, at);
    if (rc < 0)
        return rc;
    if (rc == 0) {
        if (!find_memory(req, &part->lease))
            return 0;
        part->buf = ros2d_bounce_addr(req->pool, part->lease);
    }
    part->chunk = req->begun++;
    part->state = ROS2D_PART_LANDED;
    part->counted = false;
    req->busy++;
    *part_p = part;
    return 1;
}

int ros2d_part_begin(struct ros2d_request *req, struct ros2d_part **part_p)
{
    uint64_t at = (uint64_t)req->begun * req->chunk_len, left = req->length - at;

    return ros2d_part_begin_at(req, at, left < req->chunk_len ? (uint32_t)left : req->chunk_len,
                               part_p);
}

static void unmap(struct ros2d_part *part)
{
    struct ros2d_request *req = part->req;

    part->mapped = false;
    req->mapped--;
    req->lane->ops->region_unmap(req->lane->domain, &part->mapping);
}

void ros2d_part_release(struct ros2d_part *part)
{
    struct ros2d_request *req = part->req;

    part->state = ROS2D_PART_FREE;
    req->busy--;
    if (part->mapped)
        unmap(part);
    free(part->heap);
    part->heap = NULL;
    if (part->lease.units > 0) {
        struct ros2d_lease lease = part->lease;
        part->lease.units = 0;
        ros2d_bounce_put(req->pool, lease, req->conn ? req->held : NULL);
    }
}

void ros2d_part_unbegin(struct ros2d_part *part)
{
    part->req->begun--;
    ros2d_part_release(part);
}

void ros2d_parts_release_landed(struct ros2d_request *req)
{
    for (unsigned i = 0; i < ROS2D_PARTS; i++)
        if (req->part[i].state == ROS2D_PART_LANDED)
            ros2d_part_release(&req->part[i]);
}

static void on_wire_done(struct ros2_op *op, int status)
{
    struct ros2d_part *part = ROS2D_CONTAINER(op, struct ros2d_part, op);
    struct ros2d_request *req = part->req;

    if (req->conn)
        ros2d_connection_wire_done(req->conn);
    if (req->state == ROS2D_REQUEST_ORPHANED)
        ros2d_part_release(part);
    else
        req->kind->wire_done(part, status);
    ros2d_request_step(req);
}

void ros2d_part_on_wire(struct ros2d_part *part)
{
    part->state = ROS2D_PART_WIRE;
    ros2d_connection_wire_begun(part->req->conn);
}

void ros2d_engine_entered(struct ros2d_request *req)
{
    req->in_engine++;
    req->queue->in_engine++;
    req->thread->in_engine++;
}

void ros2d_engine_left(struct ros2d_thread *thread, struct ros2d_queue_state *queue)
{
    thread->in_engine--;
    if (--queue->in_engine > 0)
        return;
    if (queue->fenced)
        ros2d_connection_unfence(queue->fenced);
    else
        ros2d_queues_settle(&thread->queues, queue);
}

static void on_engine_done(struct ros2_io *io)
{
    struct ros2d_part *part = ROS2D_CONTAINER(io, struct ros2d_part, io);
    struct ros2d_request *req = part->req;
    struct ros2d_thread *thread = req->thread;
    struct ros2d_queue_state *queue = req->queue;

    req->in_engine--;
    req->engine_ns += ros2i_now_ns() - part->start_ns;
    part->result = io->result;
    req->kind->engine_done(part);
    ros2d_request_step(req);
    ros2d_engine_left(thread, queue);
}

void ros2d_part_prepare(struct ros2d_part *part)
{
    part->start_ns = ros2i_now_ns();
    part->io.done = on_engine_done;
    part->op.done = on_wire_done;
    if (!part->req->first_engine_ns)
        part->req->first_engine_ns = part->start_ns;
}

int ros2d_part_in_engine(struct ros2d_part *part, int rc)
{
    struct ros2d_request *req = part->req;

    if (rc == -EAGAIN)
        return rc;
    req->handed++;
    if (rc == 0) {
        part->state = ROS2D_PART_ENGINE;
        ros2d_engine_entered(req);
        return 0;
    }
    req->engine_ns += ros2i_now_ns() - part->start_ns;
    part->result = rc < 0 ? rc : part->io.result;
    return 1;
}
