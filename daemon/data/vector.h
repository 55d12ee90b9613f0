/* SPDX-License-Identifier: Apache-2.0 */
/* What a READV has beyond a READ: its extents and their results, and its reads in the engine. Owner: its data thread.
 *
 * It is 45 KiB, so requests do not have it in them: the thread keeps some, which READVs borrow. */
#ifndef ROS2D_VECTOR_H
#define ROS2D_VECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/data/request.h"

/* Reads of one READV that the engine has at once: enough to keep a disk busy, and no more than a share of its depth. */
#define ROS2D_VECTOR_READS 16
/* Vectors that a thread keeps for the next READVs; more are given back. */
#define ROS2D_VECTORS_KEPT 64

struct ros2d_vector_extent {
    struct ros2d_handle *handle; /* counted in; NULL: status says why */
    uint64_t offset;
    uint32_t at, len; /* in the stream */
    uint32_t status;
    uint32_t good; /* bytes from its start that are good as far as is known, at most len */
};

/* A read in the engine: what of one extent lies in one part. */
struct ros2d_vector_read {
    struct ros2_io io;
    struct ros2d_part *part;
    struct ros2d_vector_extent *extent;
    uint32_t from, len; /* in the extent */
    uint64_t start_ns;
    struct ros2d_vector_read *next_free;
};

/* A part of a READV: [at, end) of the stream. */
struct ros2d_vector_window {
    uint32_t at, end;
    uint32_t first;   /* extent that at lies in */
    uint32_t reading; /* reads of it that the engine has */
    uint32_t good;    /* bytes, once tallied */
    bool handed_all;  /* the engine was given all of it */
    bool tallied;     /* count and checksum of it are in the reply */
    bool packed;      /* inline: without gaps */
};

struct ros2d_vector {
    struct ros2d_vector *next_free;
    uint32_t count;
    struct ros2d_part *current; /* begun, and not all of it was given to the engine; NULL: none */
    uint32_t next, from;        /* what is to be given next: extent, and where in it */
    uint32_t begun;             /* of the stream */
    struct ros2d_vector_window window[ROS2D_PARTS]; /* of the request's parts, by index */
    struct ros2d_vector_read *free_read;
    struct ros2d_vector_read read[ROS2D_VECTOR_READS];
    struct ros2d_vector_extent extent[ROS2I_WIRE_EXTENTS_MAX];
    uint8_t reply[ROS2I_WIRE_REPLY_LEN + ROS2I_WIRE_EXTENTS_MAX * ROS2I_WIRE_RESULT_LEN];
};

/* Takes the extents of a decoded READV over, and counts the request in at their handles. 0, or what the REPLY is to say: ENOMEM,
 * EINVAL. */
uint32_t ros2d_vector_take(struct ros2d_request *req, const struct ros2i_vector_request *v);
/* Gives back handles and memory of req->vector. The engine has nothing of it. */
void ros2d_vector_release(struct ros2d_request *req);
void ros2d_vectors_fini(struct ros2d_thread *thread);

/* Header and results. Returns their length. inlined: bytes of data that follow. */
size_t ros2d_vector_encode_reply(struct ros2d_request *req, void *buf, uint32_t inlined);
/* The engine's answer to one read. */
void ros2d_vector_took(struct ros2d_vector_read *read, int64_t result);

/* Good bytes of extent e in the window, and where they begin. */
static inline uint32_t ros2d_vector_good_in(const struct ros2d_vector_extent *e,
                                            const struct ros2d_vector_window *w, uint32_t *at_p)
{
    uint32_t from = e->at > w->at ? e->at : w->at;
    uint32_t good_end = e->at + e->good, end = good_end < w->end ? good_end : w->end;

    *at_p = from;
    return end > from ? end - from : 0;
}

#endif
