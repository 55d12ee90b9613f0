/* SPDX-License-Identifier: Apache-2.0 */
/* READV: as a READ (read.c), but what fills a part comes from many files. A part is a window of the stream: the engine reads
 * into it for several extents at a time, and once all are there it is put, in one put. Windows are passed on in their order, so
 * that the checksum runs over the extents in theirs, and the REPLY rides on the last put.
 *
 * What an extent lacks, since its file ends or cannot be read, is not put, or as zeros where that joins two pieces: memory
 * of the daemon that holds something else never leaves it. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "daemon/data/connection.h"
#include "daemon/data/request.h"
#include "daemon/data/thread.h"
#include "daemon/data/vector.h"
#include "lib/base/clock.h"
#include "lib/protocol/checksum.h"

/* Of a window, in one put: each segment of the client can split one of them in two. */
#define RUNS_MAX (ROS2_TRANSPORT_SEGMENTS_MAX - ROS2I_WIRE_SEGMENTS_MAX)
/* A gap of up to this is put as zeros: cheaper than to describe another piece to the peer. */
#define GAP_FILLED 512u
/* Extents that one turn gives to the engine: the cached ones are read at once, and others wait for the thread. */
#define TURN_EXTENTS 64u

static struct ros2d_vector_window *window_of(const struct ros2d_part *part)
{
    return &part->req->vector->window[part - part->req->part];
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Where [at, ...) of the stream is. Inline, results come before the data. */
static char *place(const struct ros2d_part *part, uint32_t at)
{
    const struct ros2d_request *req = part->req;
    char *data = part->buf;

    if (req->inlined)
        data += ROS2D_INLINE_HEAD + (size_t)req->vector->count * ROS2I_WIRE_RESULT_LEN;
    return data + (at - window_of(part)->at);
}

/* -- to the engine -- */

static void left_engine(struct ros2d_vector_read *read)
{
    struct ros2d_part *part = read->part;
    struct ros2d_vector *v = part->req->vector;

    read->next_free = v->free_read;
    v->free_read = read;
    if (--window_of(part)->reading > 0)
        return;
    if (part->req->state == ROS2D_REQUEST_RUNNING)
        part->state = ROS2D_PART_LANDED;
    else
        ros2d_part_release(part); /* nobody wants it any more */
}

static void on_read(struct ros2_io *io)
{
    struct ros2d_vector_read *read = ROS2D_CONTAINER(io, struct ros2d_vector_read, io);
    struct ros2d_request *req = read->part->req;
    struct ros2d_thread *thread = req->thread;
    struct ros2d_queue_state *queue = req->queue;

    req->in_engine--;
    req->engine_ns += ros2i_now_ns() - read->start_ns;
    ros2d_vector_took(read, io->result);
    left_engine(read);
    ros2d_request_step(req);
    ros2d_engine_left(thread, queue);
}

/* What of extent e is not read yet and lies in the window. -EAGAIN: the engine is full. */
static int begin_read(struct ros2d_part *part, struct ros2d_vector_extent *e, uint32_t len)
{
    struct ros2d_request *req = part->req;
    struct ros2d_thread *thread = req->thread;
    struct ros2d_vector *v = req->vector;
    struct ros2d_vector_read *read = v->free_read;
    uint64_t now_ns = ros2i_now_ns();

    read->part = part;
    read->extent = e;
    read->from = v->from;
    read->len = len;
    read->start_ns = now_ns;
    read->io.done = on_read;
    int rc =
        thread->engine_ops->read(thread->context, e->handle->node, place(part, e->at + v->from),
                                 len, e->offset + v->from, &read->io);
    if (rc == -EAGAIN)
        return rc;
    if (rc == 0) {
        v->free_read = read->next_free;
        window_of(part)->reading++;
        part->state = ROS2D_PART_ENGINE;
        ros2d_engine_entered(req);
        return 0;
    }
    req->engine_ns += ros2i_now_ns() - now_ns;
    ros2d_vector_took(read, rc < 0 ? rc : read->io.result);
    return 0;
}

static bool is_wanted(const struct ros2d_vector_extent *e, uint32_t from)
{
    return e->handle && from < e->good; /* its end may be known already */
}

/* 1: all of the current window is with the engine; 0: it has to wait. */
static int hand_window(struct ros2d_request *req, unsigned *budget)
{
    struct ros2d_vector *v = req->vector;
    struct ros2d_vector_window *w = window_of(v->current);

    while (v->next < v->count) {
        struct ros2d_vector_extent *e = &v->extent[v->next];
        uint32_t len = least(e->len - v->from, w->end - (e->at + v->from));

        if (len > 0 && is_wanted(e, v->from)) {
            if (*budget == 0) {
                ros2d_request_yield(req);
                return 0;
            }
            if (!v->free_read)
                return 0;
            if (begin_read(v->current, e, len) == -EAGAIN) {
                ros2d_request_stall(req);
                return 0;
            }
            --*budget;
        }
        v->from += len;
        if (v->from < e->len)
            break; /* the rest of it lies in the next window */
        v->next++;
        v->from = 0;
    }
    w->handed_all = true;
    v->current = NULL;
    return 1;
}

/* Where the engine can read into the client's memory, a window ends with a segment, so that all of it can be mapped. */
static uint32_t window_end(const struct ros2d_request *req, uint32_t at)
{
    uint32_t end = at + least(req->length - at, req->chunk_len);
    uint64_t segment_end = 0;

    for (unsigned i = 0; req->mappable && i < req->segments.count; i++) {
        segment_end += req->segments.remote[i].len;
        if (segment_end > at)
            return segment_end < end ? (uint32_t)segment_end : end;
    }
    return end;
}

static int begin_window(struct ros2d_request *req)
{
    struct ros2d_vector *v = req->vector;
    uint32_t end = window_end(req, v->begun);
    struct ros2d_part *part;
    int rc = ros2d_part_begin_at(req, v->begun, end - v->begun, &part);

    if (rc <= 0)
        return rc;
    ros2d_part_prepare(part);
    *window_of(part) = (struct ros2d_vector_window){.at = v->begun, .end = end, .first = v->next};
    v->begun = end;
    v->current = part;
    return 1;
}

static int begin_reads(struct ros2d_request *req)
{
    struct ros2d_vector *v = req->vector;
    unsigned budget = TURN_EXTENTS;

    while (req->status == 0 && (v->current || v->begun < req->length)) {
        int rc = v->current ? 1 : begin_window(req);
        if (rc <= 0)
            return rc;
        if (!hand_window(req, &budget))
            return 0;
        req->handed++;
        if (v->begun == req->length)
            req->chunks = req->handed; /* a CANCEL comes too late now */
    }
    return 0;
}

/* -- to the client -- */

/* Source and target of a put. */
struct pieces {
    struct iovec iov[RUNS_MAX];
    struct ros2_remote remote[ROS2_TRANSPORT_SEGMENTS_MAX];
    int iov_count, remote_count;
};

static void add_run(struct pieces *p, const struct ros2d_part *part, uint32_t at, uint32_t end)
{
    struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX];
    int count = ros2d_segments_slice(&part->req->segments, at, end - at, remote);

    memcpy(&p->remote[p->remote_count], remote, (size_t)count * sizeof(remote[0]));
    p->remote_count += count;
    p->iov[p->iov_count++] = (struct iovec){place(part, at), end - at};
}

/* What of the window is good, in as many runs as fit. */
static void gather(const struct ros2d_part *part, struct pieces *p)
{
    const struct ros2d_vector *v = part->req->vector;
    const struct ros2d_vector_window *w = window_of(part);
    uint32_t run = 0, run_end = 0, at;

    p->iov_count = p->remote_count = 0;
    for (uint32_t i = w->first; i < v->count && v->extent[i].at < w->end; i++) {
        uint32_t good = ros2d_vector_good_in(&v->extent[i], w, &at);
        if (good == 0)
            continue;
        if (run_end == run) {
            run = at;
        } else if (at - run_end <= GAP_FILLED || p->iov_count == RUNS_MAX - 1) {
            memset(place(part, run_end), 0, at - run_end);
        } else {
            add_run(p, part, run, run_end);
            run = at;
        }
        run_end = at + good;
    }
    if (run_end > run)
        add_run(p, part, run, run_end);
}

/* Checksum and count of the window's good bytes, once. */
static void tally(struct ros2d_part *part)
{
    struct ros2d_request *req = part->req;
    const struct ros2d_vector *v = req->vector;
    struct ros2d_vector_window *w = window_of(part);
    bool checksum = req->flags & ROS2I_MSG_CHECKSUM;
    uint32_t at;

    if (w->tallied)
        return;
    w->tallied = true;
    for (uint32_t i = w->first; i < v->count && v->extent[i].at < w->end; i++) {
        uint32_t good = ros2d_vector_good_in(&v->extent[i], w, &at);
        if (checksum)
            req->crc = ros2i_crc32c(req->crc, place(part, at), good);
        w->good += good;
    }
    req->bytes += w->good;
}

static int put_window(struct ros2d_part *part, bool with_reply)
{
    struct ros2d_request *req = part->req;
    struct pieces p; /* not zeroed: gather() counts */
    size_t len = 0;

    gather(part, &p);
    if (with_reply)
        len = ros2d_vector_encode_reply(req, req->vector->reply, 0);
    return req->conn->ops->put(req->conn->ep, p.iov, p.iov_count, p.remote, p.remote_count,
                               len > 0 ? req->vector->reply : NULL, len, &part->op);
}

/* Closes the gaps, then all of it is one message. Repeated when the transport had no room: then there are none. */
static int send_inline(struct ros2d_part *part)
{
    struct ros2d_request *req = part->req;
    const struct ros2d_vector *v = req->vector;
    struct ros2d_vector_window *w = window_of(part);
    char *head = part->buf + ROS2D_INLINE_HEAD - ROS2I_WIRE_REPLY_LEN, *to = place(part, 0);

    for (uint32_t i = 0; i < v->count && !w->packed; i++) {
        memmove(to, place(part, v->extent[i].at), v->extent[i].good);
        to += v->extent[i].good;
    }
    w->packed = true;
    size_t len = ros2d_vector_encode_reply(req, head, req->bytes);
    struct iovec iov = {head, len + req->bytes};
    return req->conn->ops->send(req->conn->ep, &iov, 1, &part->op);
}

/* The next window in order is complete. */
static int pass_on(struct ros2d_request *req, struct ros2d_part *part)
{
    const struct ros2d_vector_window *w = window_of(part);
    bool last = w->end == req->length;
    int rc = 0;

    tally(part);
    bool sent = w->good > 0 && !part->mapped;
    if (!sent)
        ros2d_part_release(part);
    else
        rc = req->inlined ? send_inline(part) : put_window(part, last);
    if (rc < 0)
        return rc;
    if (sent)
        ros2d_part_on_wire(part);
    req->put++;
    /* Those before it have passed: no memory of the client is mapped any more. */
    if (last && sent)
        ros2d_request_replied(req);
    else if (last)
        req->state = ROS2D_REQUEST_REPLYING;
    return 0;
}

static struct ros2d_part *next_complete(struct ros2d_request *req)
{
    for (unsigned i = 0; i < ROS2D_PARTS; i++) {
        struct ros2d_part *part = &req->part[i];
        if (part->state == ROS2D_PART_LANDED && part->chunk == req->put &&
            window_of(part)->handed_all)
            return part;
    }
    return NULL;
}

static int pass_on_all(struct ros2d_request *req)
{
    struct ros2d_part *part;

    while (req->state == ROS2D_REQUEST_RUNNING && req->status == 0 &&
           (part = next_complete(req)) != NULL) {
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

/* As long as a pass makes room for the next windows at once, as it does for mapped ones: no event tells of that room. */
static int read_and_pass_on(struct ros2d_request *req)
{
    uint32_t put;
    int rc;

    do {
        put = req->put;
        rc = begin_reads(req);
        if (rc == 0)
            rc = pass_on_all(req);
    } while (rc == 0 && req->put > put && req->status == 0 && req->state == ROS2D_REQUEST_RUNNING);
    return rc;
}

static int pump(struct ros2d_request *req)
{
    int rc;

    ros2d_request_heed_cancel(req);
    rc = read_and_pass_on(req);
    if (rc < 0 || req->status == 0)
        return rc;
    ros2d_parts_release_landed(req);
    if (req->in_engine == 0) {
        req->bytes = 0;
        req->state = ROS2D_REQUEST_REPLYING;
    }
    return 0;
}

/* Its reads have a completion of their own, on_read(). */
static void engine_done(struct ros2d_part *part)
{
    (void)part;
}

static void wire_done(struct ros2d_part *part, int status)
{
    (void)status; /* when it failed, the endpoint's closed() follows */
    ros2d_part_release(part);
}

const struct ros2d_request_kind ros2d_read_vector_kind = {
    .pump = pump,
    .engine_done = engine_done,
    .wire_done = wire_done,
};
