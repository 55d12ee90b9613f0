/* SPDX-License-Identifier: Apache-2.0 */
/* A request's life. Always holds: conn->slot[s] names a request exactly while it is RUNNING or REPLYING; a request is freed
 * when it was replied to or orphaned and neither engine nor transport has anything of it.
 *
 *   RUNNING --result final--> REPLYING --transport took it--> REPLIED --nothing borrowed--> free
 *   RUNNING --reply rode on the last put------------------------^
 *   any --connection ends--> ORPHANED --nothing borrowed--> free */
#include "config.h"

#include "daemon/data/request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/connection.h"
#include "daemon/data/thread.h"
#include "daemon/data/vector.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

#define SLAB 32 /* requests that are allocated at once; the threads keep them */

struct slab {
    struct ros2d_list link;
    struct ros2d_request request[SLAB];
};

/* -- memory of requests -- */

static bool grow(struct ros2d_thread *thread)
{
    struct slab *slab = calloc(1, sizeof(*slab));

    if (!slab)
        return false;
    ros2d_list_append(&thread->slabs, &slab->link);
    for (unsigned i = 0; i < SLAB; i++) {
        slab->request[i].next_free = thread->free_requests;
        thread->free_requests = &slab->request[i];
    }
    return true;
}

static void granted(struct ros2d_waiter *waiter)
{
    struct ros2d_request *req = ROS2D_CONTAINER(waiter, struct ros2d_request, waiter);

    ros2d_request_stall(req);
}

struct ros2d_request *ros2d_request_create(struct ros2d_connection *conn,
                                           const struct ros2i_msg *msg)
{
    struct ros2d_thread *thread = conn->thread;
    struct ros2d_request *req;

    if (!thread->free_requests && !grow(thread))
        return NULL;
    req = thread->free_requests;
    thread->free_requests = req->next_free;
    /* Large arrays that have a count are left as they are. */
    memset(req, 0, offsetof(struct ros2d_request, segments));
    req->segments.count = req->segments.acquired = 0;
    memset(&req->pool, 0, sizeof(*req) - offsetof(struct ros2d_request, pool));
    ros2d_list_init(&req->ready_link);
    ros2d_list_init(&req->waiter.link);
    req->waiter.granted = granted;
    for (unsigned i = 0; i < ROS2D_PARTS; i++)
        req->part[i].req = req;
    req->thread = thread;
    req->lane = conn->lane;
    req->conn = conn;
    req->queue = conn->queue;
    req->id = msg->request_id;
    req->type = msg->type;
    req->flags = msg->flags;
    req->arrival_ns = ros2i_now_ns();
    ros2d_list_append(&conn->requests, &req->link);
    conn->request_count++;
    conn->slot[ros2i_request_slot(req->id)] = req;
    return req;
}

static void release_memory(struct ros2d_request *req)
{
    ros2d_bounce_unwait(&req->waiter);
    if (req->waiter.lease.units > 0)
        ros2d_bounce_put(req->pool, req->waiter.lease, req->conn ? req->held : NULL);
    req->waiter.lease.units = 0;
    req->waiting = false;
}

static void free_request(struct ros2d_request *req)
{
    struct ros2d_thread *thread = req->thread;

    assert(req->busy == 0 && req->in_engine == 0);
    release_memory(req);
    ros2d_segments_release(req->conn, thread->state->regions, &req->segments);
    if (req->handle)
        ros2d_handles_put(thread->state->handles, req->handle);
    if (req->vector)
        ros2d_vector_release(req);
    if (req->conn) {
        ros2d_list_remove(&req->link);
        req->conn->request_count--;
    }
    ros2d_list_remove(&req->ready_link);
    req->next_free = thread->free_requests;
    thread->free_requests = req;
}

void ros2d_requests_fini(struct ros2d_thread *thread)
{
    while (!ros2d_list_empty(&thread->slabs)) {
        struct slab *slab = ROS2D_CONTAINER(thread->slabs.next, struct slab, link);
        ros2d_list_remove(&slab->link);
        free(slab);
    }
    thread->free_requests = NULL;
}

/* -- replies -- */

static uint32_t saturated(uint64_t ns)
{
    return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void ros2d_request_encode_reply(struct ros2d_request *req, void *buf, uint32_t payload_len)
{
    /* Not zeroed: all that encode reads of a reply is set. */
    struct ros2i_msg msg;
    struct ros2i_reply *reply = &msg.u.reply;
    bool checksum =
        req->type != ROS2I_MSG_WRITE && (req->flags & ROS2I_MSG_CHECKSUM) && req->status == 0;
    bool vector = req->vector && req->status == 0;

    msg.type = ROS2I_MSG_REPLY;
    msg.flags = (checksum ? ROS2I_MSG_CHECKSUM : 0) | (vector ? ROS2I_MSG_VECTOR : 0);
    msg.request_id = req->id;
    reply->status = req->status;
    reply->bytes = req->bytes;
    reply->offset = req->result_offset;
    reply->durability_epoch = req->handle ? req->handle->tenant->durability_epoch : 0;
    reply->crc = checksum ? req->crc : 0;
    reply->engine_ns = saturated(req->engine_ns);
    reply->queue_ns = req->first_engine_ns ? saturated(req->first_engine_ns - req->arrival_ns) : 0;
    reply->payload_len = payload_len;
    reply->payload = NULL;
    int len = ros2i_wire_encode(&msg, buf, ROS2I_WIRE_REPLY_LEN);
    assert(len == ROS2I_WIRE_REPLY_LEN);
    (void)len;
}

void ros2d_request_replied(struct ros2d_request *req)
{
    struct ros2d_counters *counters = &req->thread->counters;

    req->conn->slot[ros2i_request_slot(req->id)] = NULL;
    req->state = ROS2D_REQUEST_REPLIED;
    if (req->status)
        ros2d_count(&counters->errors, 1);
    else if (req->type != ROS2I_MSG_WRITE)
        ros2d_count(&counters->bytes_read, req->bytes);
    else
        ros2d_count(&counters->bytes_written, req->bytes);
}

void ros2d_request_keep(struct ros2d_request *req)
{
    struct ros2d_slot_memory *slot = &req->queue->slot[ros2i_request_slot(req->id)];

    if (req->type != ROS2I_MSG_WRITE || slot->last_id != req->id)
        return;
    slot->kept = true;
    slot->status = req->status;
    slot->bytes = req->bytes;
    slot->offset = req->result_offset;
    slot->durability_epoch = req->handle ? req->handle->tenant->durability_epoch : 0;
}

/* By a copy, of 56 bytes and maybe an extent's results: nothing to wait for afterwards. */
static int send_reply(struct ros2d_request *req)
{
    struct iovec iov = {req->reply, sizeof(req->reply)};

    if (req->vector && req->status == 0) {
        iov.iov_base = req->vector->reply;
        iov.iov_len = ros2d_vector_encode_reply(req, iov.iov_base, 0);
    } else {
        ros2d_request_encode_reply(req, req->reply, 0);
    }
    int rc = req->conn->ops->send(req->conn->ep, &iov, 1, NULL);
    if (rc == 0)
        ros2d_request_replied(req);
    return rc;
}

/* -- steps -- */

void ros2d_request_stall(struct ros2d_request *req)
{
    if (ros2d_list_empty(&req->ready_link))
        ros2d_list_append(&req->thread->ready, &req->ready_link);
}

void ros2d_request_yield(struct ros2d_request *req)
{
    req->yielded = true;
    ros2d_request_stall(req);
}

void ros2d_request_fail(struct ros2d_request *req, uint32_t status)
{
    if (req->status == 0)
        req->status = status;
}

void ros2d_request_heed_cancel(struct ros2d_request *req)
{
    if (req->cancelled && req->handed < req->chunks)
        ros2d_request_fail(req, ECANCELED);
    if (req->status)
        release_memory(req);
}

/* 0, or < 0: the connection is of no use. */
static int advance(struct ros2d_request *req)
{
    int rc = 0;

    if (req->state == ROS2D_REQUEST_RUNNING)
        rc = req->kind->pump(req);
    if (rc == 0 && req->state == ROS2D_REQUEST_REPLYING) {
        rc = send_reply(req);
        if (rc == -EAGAIN) {
            ros2d_request_stall(req);
            rc = 0;
        }
    }
    return rc;
}

void ros2d_request_step(struct ros2d_request *req)
{
    int rc = advance(req);

    if (rc == -ENOTCONN)
        return; /* the endpoint is dying: its closed() comes next */
    if (rc == -EPROTO) {
        ros2d_connection_breach(req->conn); /* may have freed req; so may this: */
        return;
    }
    if (rc < 0) {
        ros2d_connection_end(req->conn, false);
        return;
    }
    if (req->busy == 0 &&
        (req->state == ROS2D_REQUEST_REPLIED || req->state == ROS2D_REQUEST_ORPHANED))
        free_request(req);
}

int ros2d_requests_run_ready(struct ros2d_thread *thread)
{
    struct ros2d_list work;
    int moved = 0;

    ros2d_list_take(&work, &thread->ready);
    while (!ros2d_list_empty(&work)) {
        struct ros2d_request *req = ROS2D_CONTAINER(work.next, struct ros2d_request, ready_link);
        ros2d_list_remove(&req->ready_link);
        req->yielded = false;
        ros2d_request_step(req);
        /* Freed requests are in no list; one that is back had no luck, or has had its turn. */
        moved += ros2d_list_empty(&req->ready_link) || req->yielded;
    }
    return moved;
}

/* -- from the connection -- */

void ros2d_request_cancel(struct ros2d_connection *conn, uint64_t target_id)
{
    uint16_t slot = ros2i_request_slot(target_id);
    struct ros2d_request *req = slot < conn->negotiated.credits ? conn->slot[slot] : NULL;

    if (!req || req->id != target_id)
        return; /* its reply and this have crossed */
    ros2d_count(&conn->thread->counters.cancels, 1);
    req->cancelled = true;
    ros2d_request_step(req);
}

void ros2d_request_orphan(struct ros2d_request *req)
{
    release_memory(req);
    ros2d_parts_release_landed(req);
    ros2d_segments_release(req->conn, req->thread->state->regions, &req->segments);
    ros2d_list_remove(&req->link);
    ros2d_list_remove(&req->ready_link);
    req->conn->request_count--;
    if (req->state != ROS2D_REQUEST_REPLIED)
        req->conn->slot[ros2i_request_slot(req->id)] = NULL;
    /* A REPLYING request has kept its result already. */
    req->conn = NULL;
    req->state = ROS2D_REQUEST_ORPHANED;
    if (req->busy == 0)
        free_request(req);
}
