/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: their pool, their checks, their ends. Owner: the data thread. What a READ or WRITE does in between is in
 * read.c and write.c. Nothing here allocates per request once the pool has grown to what its channels use. */
#include "config.h"

#include "daemon/data/request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/thread.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"

#define SLAB_REQUESTS 32

/* -- pool -- */

struct slab {
    void *next;
    struct ros2d_request request[SLAB_REQUESTS];
};

static struct ros2d_request *pool_take(struct ros2d_thread *thread)
{
    struct ros2d_request *r;

    if (!thread->pool) {
        struct slab *slab =
            calloc(1, sizeof(*slab)); /* once for each new high of requests under way */

        if (!slab)
            return NULL;
        slab->next = thread->slabs;
        thread->slabs = slab;
        for (int i = 0; i < SLAB_REQUESTS; i++) {
            slab->request[i].next = thread->pool;
            thread->pool = &slab->request[i];
        }
    }
    r = thread->pool;
    thread->pool = r->next;
    return r;
}

void ros2d_requests_fini(struct ros2d_thread *thread)
{
    while (thread->slabs) {
        struct slab *slab = thread->slabs;

        thread->slabs = slab->next;
        free(slab);
    }
    thread->pool = NULL;
}

/* -- lists -- */

static void list_append(struct ros2d_request_list *list, struct ros2d_request *r)
{
    r->next = NULL;
    r->prev = list->last;
    if (list->last)
        list->last->next = r;
    else
        list->first = r;
    list->last = r;
}

static void list_remove(struct ros2d_request_list *list, struct ros2d_request *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        list->first = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        list->last = r->prev;
}

static void active_insert(struct ros2d_request **head, struct ros2d_request *r)
{
    r->active_prev = NULL;
    r->active_next = *head;
    if (*head)
        (*head)->active_prev = r;
    *head = r;
}

static void active_remove(struct ros2d_request **head, struct ros2d_request *r)
{
    if (r->active_prev)
        r->active_prev->active_next = r->active_next;
    else
        *head = r->active_next;
    if (r->active_next)
        r->active_next->active_prev = r->active_prev;
}

static void leave_waiting_list(struct ros2d_request *r)
{
    if (r->state == ROS2D_REQUEST_AWAIT_ROOM)
        list_remove(&r->thread->waiting, r);
    else if (r->state == ROS2D_REQUEST_AWAIT_WINDOW)
        list_remove(&r->connection->waiting, r);
    r->state = ROS2D_REQUEST_AWAIT_PIECES;
}

/* -- life -- */

void ros2d_request_engine_started(struct ros2d_request *r)
{
    r->started = true;
    if (r->engine_start_ns != 0)
        return;
    r->engine_start_ns = ros2i_now_ns();
    r->queue_ns = r->engine_start_ns - r->arrival_ns;
}

bool ros2d_request_idle(const struct ros2d_request *r)
{
    for (int i = 0; i < ROS2D_PIECES; i++) {
        if (r->piece[i].state != ROS2D_PIECE_FREE)
            return false;
    }
    return true;
}

struct ros2d_piece *ros2d_request_free_piece(struct ros2d_request *r)
{
    for (int i = 0; i < ROS2D_PIECES; i++) {
        if (r->piece[i].state == ROS2D_PIECE_FREE)
            return &r->piece[i];
    }
    return NULL;
}

void ros2d_piece_release(struct ros2d_piece *piece)
{
    struct ros2d_request *r = piece->request;

    if (piece->buffer && !r->gather && piece->buffer != r->small) {
        ros2d_bounce_release(&r->thread->bounce.chunk, piece->buffer);
        r->thread->room = true;
    }
    piece->buffer = NULL;
    piece->state = ROS2D_PIECE_FREE;
}

static void release_regions(struct ros2d_request *r)
{
    for (uint16_t i = 0; i < r->segment_count; i++) {
        if (r->segment[i].kind == ROS2I_SEGMENT_REGION && r->rkey[i])
            ros2d_regions_release(r->thread->state->regions, r->segment[i].id);
    }
    if (r->connection) {
        for (int k = 0; k < ROS2D_RKEYS; k++) {
            for (uint16_t i = 0; i < r->segment_count; i++) {
                if (r->rkey[i] && r->connection->rkey[k].rkey == r->rkey[i])
                    r->connection->rkey[k].users--;
            }
        }
    }
}

enum ros2d_progress ros2d_request_end(struct ros2d_request *r)
{
    struct ros2d_thread *thread = r->thread;
    struct ros2d_queue_state *queue = r->queue;
    bool orphan = !r->connection;

    release_regions(r);
    if (r->small)
        ros2d_bounce_release(&thread->bounce.small, r->small);
    free(r->gather);
    if (r->handle)
        ros2d_handles_put(thread->state->handles, r->handle);
    if (orphan) {
        active_remove(&thread->orphans, r);
        queue->orphans--;
    } else {
        active_remove(&r->connection->active, r);
        r->connection->active_count--;
    }
    thread->room = true;
    r->next = thread->pool;
    thread->pool = r;
    if (orphan) {
        ros2d_connection_fence_passed(queue);
        ros2d_queue_state_settle(&thread->queues, queue);
    }
    return ROS2D_DONE;
}

bool ros2d_request_live(const struct ros2d_request *r)
{
    return r->connection && r->connection->state == ROS2D_CONNECTION_READY;
}

void ros2d_request_replied(struct ros2d_request *r)
{
    uint16_t slot = ros2i_request_slot(r->id);

    r->replied = true;
    r->connection->busy[slot / 64] &= ~(1ull << (slot % 64));
}

void ros2d_request_failed(struct ros2d_request *r, uint32_t at, int negative_errno)
{
    if (r->error != 0 && at >= r->error_at)
        return;
    r->error = (uint32_t)-negative_errno;
    r->error_at = at;
}

static uint32_t saturate(uint64_t ns)
{
    return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void ros2d_request_reply(const struct ros2d_request *r, uint32_t bytes, struct ros2i_msg *msg)
{
    memset(msg, 0, offsetof(struct ros2i_msg, u) + sizeof(msg->u.reply));
    msg->type = ROS2I_MSG_REPLY;
    msg->request_id = r->id;
    msg->u.reply.status = r->error;
    msg->u.reply.bytes = bytes;
    msg->u.reply.offset = r->write_offset;
    msg->u.reply.durability_epoch = r->thread->state->tenant->durability_epoch;
    if (r->type == ROS2I_MSG_READ && (r->flags & ROS2I_MSG_CHECKSUM)) {
        msg->flags = ROS2I_MSG_CHECKSUM;
        msg->u.reply.crc = r->crc;
    }
    msg->u.reply.engine_ns = saturate(r->engine_ns);
    msg->u.reply.queue_ns = saturate(r->queue_ns);
}

static void record_write(struct ros2d_request *r, uint32_t bytes)
{
    if (r->type == ROS2I_MSG_WRITE)
        ros2d_queue_state_record(r->queue, r->id, r->error, bytes, r->write_offset);
}

enum ros2d_progress ros2d_request_answer(struct ros2d_request *r, uint32_t bytes)
{
    struct ros2i_msg msg;
    struct iovec iov = {.iov_base = r->reply};
    int rc;

    if (r->error != 0)
        r->thread->count.errors++;
    if (ros2d_request_live(r)) {
        ros2d_request_reply(r, bytes, &msg);
        iov.iov_len = (size_t)ros2i_wire_encode(&msg, r->reply, sizeof(r->reply));
        rc = r->thread->transport->send(r->connection->ep, &iov, 1, NULL);
        if (rc == -EAGAIN)
            return ROS2D_WAIT_ROOM;
        if (rc < 0)
            ros2d_connection_doom(r->connection, "send");
        else
            ros2d_request_replied(r);
    }
    record_write(r, bytes);
    return ros2d_request_end(r);
}

/* -- running -- */

bool ros2d_window_open(const struct ros2d_request *r)
{
    return r->connection &&
           r->connection->moving < (uint64_t)ROS2D_PIECES * r->thread->config->data.chunk;
}

void ros2d_window_add(struct ros2d_request *r, uint32_t len)
{
    r->connection->moving += len;
}

void ros2d_window_sub(struct ros2d_request *r, uint32_t len)
{
    if (!r->connection)
        return;
    r->connection->moving -= len;
    r->thread->room = true;
}

static enum ros2d_progress run(struct ros2d_request *r)
{
    if (r->answer_only)
        return ros2d_request_answer(r, r->finished);
    if (r->type == ROS2I_MSG_READ)
        return ros2d_read_run(r);
    if (r->type == ROS2I_MSG_WRITE)
        return ros2d_write_run(r);
    return ros2d_fsync_run(r);
}

static void settle(struct ros2d_request *r, enum ros2d_progress progress)
{
    if (progress == ROS2D_WAIT_ROOM) {
        r->state = ROS2D_REQUEST_AWAIT_ROOM;
        list_append(&r->thread->waiting, r);
    } else if (progress == ROS2D_WAIT_WINDOW) {
        r->state = ROS2D_REQUEST_AWAIT_WINDOW;
        list_append(&r->connection->waiting, r);
    }
}

void ros2d_request_advance(struct ros2d_request *r)
{
    if (r->state == ROS2D_REQUEST_AWAIT_SENT)
        return;
    leave_waiting_list(r);
    settle(r, run(r));
}

/* Runs list in order until one of it has to wait again: it would be unfair to let a later one overtake it. */
static int resume_list(struct ros2d_request_list *list)
{
    int moved = 0;

    while (list->first) {
        struct ros2d_request *r = list->first;
        enum ros2d_request_state state = r->state;
        enum ros2d_progress progress;

        leave_waiting_list(r);
        progress = run(r);
        if ((progress == ROS2D_WAIT_ROOM && state == ROS2D_REQUEST_AWAIT_ROOM) ||
            (progress == ROS2D_WAIT_WINDOW && state == ROS2D_REQUEST_AWAIT_WINDOW)) {
            r->state = state; /* back to the front */
            r->prev = NULL;
            r->next = list->first;
            if (list->first)
                list->first->prev = r;
            else
                list->last = r;
            list->first = r;
            break;
        }
        settle(r, progress);
        moved++;
    }
    return moved;
}

int ros2d_requests_resume(struct ros2d_thread *thread)
{
    int moved;

    if (!thread->room)
        return 0;
    thread->room = false;
    moved = resume_list(&thread->waiting);
    for (struct ros2d_connection *c = thread->connections; c; c = c->next) {
        if (c->waiting.first)
            moved += resume_list(&c->waiting);
    }
    return moved;
}

/* -- beginning -- */

static int resolve_segments(struct ros2d_request *r)
{
    uint32_t right = r->type == ROS2I_MSG_READ ? ROS2_REGION_REMOTE_WRITE : ROS2_REGION_REMOTE_READ;

    for (uint16_t i = 0; i < r->segment_count; i++) {
        int rc = 0;

        r->rkey[i] = NULL;
        if (r->segment[i].kind == ROS2I_SEGMENT_REGION)
            rc = ros2d_connection_region(r->connection, &r->segment[i], right, &r->rkey[i]);
        else if (!(r->thread->transport->flags & ROS2_TRANSPORT_TOKENS))
            rc = ros2i_fail(EOPNOTSUPP, "transport %s has no tokens: register the memory",
                            r->thread->transport->name);
        if (rc < 0) {
            r->segment_count = i; /* what was resolved is given back */
            return rc;
        }
    }
    return 0;
}

static int check_io(struct ros2d_request *r)
{
    const struct ros2d_connection *c = r->connection;
    const struct ros2d_config *config = r->thread->config;
    uint32_t chunk = config->data.chunk;
    bool checksum = r->flags & ROS2I_MSG_CHECKSUM;

    if (r->length > config->data.max_io)
        return -EINVAL;
    if (r->segment_count == 0 && r->length > c->inline_limit)
        return -EINVAL;
    if (r->type == ROS2I_MSG_WRITE && checksum &&
        r->crc_count != (r->length == 0 ? 1 : (r->length + chunk - 1) / chunk))
        return -EINVAL;
    if (r->handle->directory)
        return -EISDIR;
    return 0;
}

static int check(struct ros2d_request *r, uint64_t handle)
{
    uint32_t needed = r->type == ROS2I_MSG_READ ? ROS2I_RIGHT_READ : ROS2I_RIGHT_WRITE;

    r->handle = ros2d_handles_get(r->thread->state->handles, r->connection->session, handle);
    if (!r->handle)
        return -EBADF;
    if (r->type == ROS2I_MSG_FSYNC) /* of a file or directory opened either way, as fsync(2) */
        return 0;
    if (!(r->handle->rights & needed))
        return -EBADF;
    r->append = r->type == ROS2I_MSG_WRITE && (r->handle->rights & ROS2I_RIGHT_APPEND);
    if (r->append && (r->flags & ROS2I_MSG_REPLAY))
        return -ENOTRECOVERABLE; /* it may have been done: doing it again would append twice */
    return check_io(r);
}

static void fill(struct ros2d_request *r, const struct ros2i_msg *msg)
{
    const struct ros2i_io_request *io = &msg->u.io;

    r->type = msg->type;
    r->flags = msg->flags;
    r->id = msg->request_id;
    if (msg->type == ROS2I_MSG_FSYNC)
        return;
    r->offset = io->offset;
    r->length = r->end = io->length;
    r->segment_count = io->segment_count;
    memcpy(r->segment, io->segment, io->segment_count * sizeof(io->segment[0]));
    r->inlined = io->segment_count == 0;
    r->crc_count = io->crc_count;
    memcpy(r->crcs, io->crc, io->crc_count * sizeof(io->crc[0]));
}

static void reset(struct ros2d_request *r, struct ros2d_connection *c)
{
    memset(r, 0, offsetof(struct ros2d_request, segment)); /* not the large arrays */
    r->thread = c->thread;
    r->connection = c;
    r->queue = c->queue;
    r->state = ROS2D_REQUEST_AWAIT_PIECES;
    r->arrival_ns = c->thread->now_ns;
    for (int i = 0; i < ROS2D_PIECES; i++)
        r->piece[i].request = r;
}

/* The payload of an inline write is borrowed from the transport: it is copied (at most the inline limit) since the engine
 * may need it longer. */
static int keep_payload(struct ros2d_request *r, const struct ros2i_msg *msg)
{
    if (msg->type != ROS2I_MSG_WRITE || msg->u.io.segment_count > 0 || msg->u.io.length == 0)
        return 0;
    r->small = ros2d_bounce_lease(&r->thread->bounce.small);
    if (!r->small)
        return ros2i_fail(ENOBUFS, "no buffer for an inline write");
    memcpy(r->small, msg->u.io.payload, msg->u.io.length);
    return 0;
}

static void take_cached(struct ros2d_request *r)
{
    const struct ros2d_queue_slot *slot = &r->queue->slot[ros2i_request_slot(r->id)];

    r->answer_only = true;
    r->error = slot->status;
    r->finished = slot->bytes;
    r->write_offset = slot->offset;
    r->segment_count = 0; /* none is resolved */
}

static bool slot_is_busy(const struct ros2d_connection *c, uint64_t id)
{
    uint16_t slot = ros2i_request_slot(id);

    return slot < ROS2I_WIRE_CREDITS_MAX && (c->busy[slot / 64] >> (slot % 64) & 1);
}

int ros2d_request_begin(struct ros2d_connection *c, const struct ros2i_msg *msg)
{
    enum ros2d_admission admission;
    struct ros2d_request *r;
    uint64_t handle = msg->type == ROS2I_MSG_FSYNC ? msg->u.handle : msg->u.io.handle;
    int rc;

    if (slot_is_busy(c, msg->request_id))
        return ros2i_fail(EPROTO, "slot %u is in use", ros2i_request_slot(msg->request_id));
    admission = ros2d_queue_state_admit(c->queue, msg->request_id, msg->flags & ROS2I_MSG_REPLAY);
    if (admission == ROS2D_ADMIT_REFUSE)
        return -EPROTO;
    r = pool_take(c->thread);
    if (!r)
        return ros2i_fail(ENOMEM, "no memory for a request");
    reset(r, c);
    fill(r, msg);
    c->busy[ros2i_request_slot(r->id) / 64] |= 1ull << (ros2i_request_slot(r->id) % 64);
    active_insert(&c->active, r);
    c->active_count++;
    c->thread->count.requests++;
    if (admission == ROS2D_ADMIT_CACHED) {
        take_cached(r);
        settle(r, run(r));
        return 0;
    }
    rc = check(r, handle);
    if (rc == 0)
        rc = keep_payload(r, msg);
    if (rc < 0)
        r->segment_count = 0;
    else
        rc = resolve_segments(r);
    if (rc < 0) {
        r->length = r->end = 0;
        ros2d_request_failed(r, 0, rc);
    }
    settle(r, run(r));
    return 0;
}

/* -- ending early -- */

void ros2d_request_cancel(struct ros2d_connection *c, uint64_t id)
{
    for (struct ros2d_request *r = c->active; r; r = r->active_next) {
        if (r->id != id)
            continue;
        r->cancelled = true;
        if (r->state == ROS2D_REQUEST_AWAIT_ROOM || r->state == ROS2D_REQUEST_AWAIT_WINDOW)
            ros2d_request_advance(r);
        return;
    }
}

static bool has_engine_piece(const struct ros2d_request *r)
{
    for (int i = 0; i < ROS2D_PIECES; i++) {
        if (r->piece[i].state == ROS2D_PIECE_ENGINE)
            return true;
    }
    return false;
}

void ros2d_requests_orphan(struct ros2d_connection *c)
{
    struct ros2d_request *next;

    for (struct ros2d_request *r = c->active; r; r = next) {
        next = r->active_next;
        leave_waiting_list(r);
        for (int i = 0; i < ROS2D_PIECES; i++) {
            assert(r->piece[i].state !=
                   ROS2D_PIECE_MOVING); /* the endpoint is gone, its ops have completed */
            if (r->piece[i].state == ROS2D_PIECE_READ)
                ros2d_piece_release(&r->piece[i]);
        }
        if (!has_engine_piece(r)) {
            ros2d_request_end(r);
            continue;
        }
        release_regions(r);
        r->segment_count = 0;
        active_remove(&c->active, r);
        c->active_count--;
        r->connection = NULL;
        r->cancelled = true;
        active_insert(&r->thread->orphans, r);
        r->queue->orphans++;
    }
}

/* -- segments -- */

int ros2d_request_remotes(const struct ros2d_request *r, uint32_t at, uint32_t len,
                          struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX])
{
    uint64_t start = 0;
    int count = 0;

    for (uint16_t i = 0; i < r->segment_count && len > 0; i++) {
        const struct ros2i_segment *segment = &r->segment[i];
        uint64_t skip = at > start ? at - start : 0;

        start += segment->len;
        if (skip >= segment->len)
            continue;
        uint32_t take = segment->len - (uint32_t)skip;
        if (take > len)
            take = len;
        remote[count++] = (struct ros2_remote){
            .rkey = r->rkey[i],
            .token = segment->kind == ROS2I_SEGMENT_TOKEN ? segment->id : 0,
            .offset = segment->offset + skip,
            .len = take,
        };
        at += take;
        len -= take;
    }
    return count;
}
