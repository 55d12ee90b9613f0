/* SPDX-License-Identifier: Apache-2.0 */
/* Extents and their results. Always holds: the extents' places follow one another from 0 to the request's length, whatever
 * the client may have done to the message meanwhile; a handle is counted in exactly while it is in the table. */
#include "config.h"

#include "daemon/data/vector.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/data/connection.h"
#include "daemon/data/thread.h"
#include "lib/base/error.h"

/* -- memory -- */

static struct ros2d_vector *get(struct ros2d_thread *thread)
{
    struct ros2d_vector *v = thread->free_vectors;

    if (!v)
        /* Until as many are kept as READVs come at once: not for each of them. */
        return malloc(sizeof(*v));
    thread->free_vectors = v->next_free;
    thread->free_vector_count--;
    return v;
}

static void put(struct ros2d_thread *thread, struct ros2d_vector *v)
{
    if (thread->free_vector_count >= ROS2D_VECTORS_KEPT) {
        free(v);
        return;
    }
    v->next_free = thread->free_vectors;
    thread->free_vectors = v;
    thread->free_vector_count++;
}

void ros2d_vectors_fini(struct ros2d_thread *thread)
{
    while (thread->free_vectors) {
        struct ros2d_vector *v = thread->free_vectors;
        thread->free_vectors = v->next_free;
        free(v);
    }
    thread->free_vector_count = 0;
}

/* -- taking up -- */

static uint32_t judge_handle(const struct ros2d_handle *handle)
{
    if (!handle)
        return EBADF;
    if (handle->directory)
        return EISDIR;
    return handle->rights & ROS2I_RIGHT_READ ? 0 : EBADF;
}

static void take_extent(struct ros2d_request *req, struct ros2d_vector_extent *e,
                        const struct ros2i_extent *asked, uint32_t at)
{
    struct ros2d_handles *handles = req->thread->state->handles;

    e->handle = ros2d_handles_get(handles, req->conn->session, asked->handle);
    e->offset = asked->offset;
    e->at = at;
    e->len = asked->len;
    e->status = judge_handle(e->handle);
    e->good = e->status ? 0 : e->len;
    if (e->status && e->handle) {
        ros2d_handles_put(handles, e->handle);
        e->handle = NULL;
    }
}

/* Only fields are set that something reads: the arrays are large. */
static void reset(struct ros2d_vector *v)
{
    v->count = 0;
    v->current = NULL;
    v->next = v->from = v->begun = 0;
    v->free_read = NULL;
    for (unsigned i = 0; i < ROS2D_VECTOR_READS; i++) {
        v->read[i].next_free = v->free_read;
        v->free_read = &v->read[i];
    }
}

uint32_t ros2d_vector_take(struct ros2d_request *req, const struct ros2i_vector_request *v)
{
    struct ros2d_vector *vector = get(req->thread);
    uint32_t at = 0;

    if (!vector)
        return ENOMEM;
    reset(vector);
    req->vector = vector;
    for (uint32_t i = 0; i < v->extent_count; i++) {
        struct ros2i_extent asked = ros2i_extent_get(v->extents, i);

        /* The codec has judged them, but of bytes that a peer on this machine might still write to. */
        if (asked.len > v->length - at || asked.offset > (uint64_t)INT64_MAX - asked.len)
            return EINVAL;
        take_extent(req, &vector->extent[i], &asked, at);
        vector->count++;
        at += asked.len;
    }
    return at == v->length ? 0 : EINVAL;
}

void ros2d_vector_release(struct ros2d_request *req)
{
    struct ros2d_vector *v = req->vector;

    for (uint32_t i = 0; i < v->count; i++)
        if (v->extent[i].handle)
            ros2d_handles_put(req->thread->state->handles, v->extent[i].handle);
    req->vector = NULL;
    put(req->thread, v);
}

/* -- results -- */

void ros2d_vector_took(struct ros2d_vector_read *read, int64_t result)
{
    struct ros2d_vector_extent *e = read->extent;
    uint32_t good = read->from + (result > 0 ? (uint32_t)result : 0);

    if (result >= 0 && good >= read->from + read->len)
        return;
    /* Of two pieces the lower one counts: behind the end of the file, or behind an error, there is nothing to be told. */
    if (good >= e->good)
        return;
    e->good = good;
    e->status = result < 0 ? (uint32_t)-result : 0;
}

size_t ros2d_vector_encode_reply(struct ros2d_request *req, void *buf, uint32_t inlined)
{
    struct ros2d_vector *v = req->vector;
    uint32_t len = v->count * ROS2I_WIRE_RESULT_LEN;
    uint8_t *results = (uint8_t *)buf + ROS2I_WIRE_REPLY_LEN;

    ros2d_request_encode_reply(req, buf, len + inlined);
    for (uint32_t i = 0; i < v->count; i++)
        ros2i_result_put(results, i,
                         &(struct ros2i_extent_result){v->extent[i].status, v->extent[i].good});
    return ROS2I_WIRE_REPLY_LEN + len;
}
