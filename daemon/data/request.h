/* SPDX-License-Identifier: Apache-2.0 */
/* One READ, READV, WRITE or FSYNC from arrival to the end of everything that it borrowed. Owner: its data thread.
 *
 * It is cut into chunks; up to two of them are under way at a time, each as a part: memory, the engine, the wire. Where the
 * transport maps the client's memory, that is the part's memory and nothing goes over the wire. */
#ifndef ROS2D_REQUEST_H
#define ROS2D_REQUEST_H

#include "daemon/data/bounce.h"
#include "daemon/data/list.h"
#include "daemon/data/queue_state.h"
#include "daemon/data/segments.h"
#include "daemon/tenant/handles.h"
#include "lib/protocol/wire.h"
#include "ros2/engine.h"
#include "ros2/transport.h"

#define ROS2D_PARTS 2
/* In an inline buffer the payload begins here, and the reply's header lies right in front of it. */
#define ROS2D_INLINE_HEAD 64

struct ros2d_thread;
struct ros2d_lane;
struct ros2d_connection;
struct ros2d_request;
struct ros2d_vector;

enum ros2d_request_state {
    ROS2D_REQUEST_RUNNING, /* its parts say what it awaits; without one: memory, or its turn in thread->ready */
    ROS2D_REQUEST_REPLYING, /* the result is final, the transport has yet to take the reply */
    ROS2D_REQUEST_REPLIED, /* the slot is the client's again; awaits what still borrows its memory */
    ROS2D_REQUEST_ORPHANED, /* its connection is gone; awaits the engine and the transport's last words */
};

enum ros2d_part_state {
    ROS2D_PART_FREE,
    ROS2D_PART_WIRE,   /* the transport has its op */
    ROS2D_PART_ENGINE, /* the engine has its io */
    ROS2D_PART_LANDED, /* the data is here: a read's before the wire, a write's before the engine */
};

struct ros2d_part {
    struct ros2_op op;
    struct ros2_io io;
    struct ros2d_request *req;
    enum ros2d_part_state state;
    /* Its memory is one of these: */
    struct ros2d_lease lease; /* units 0: none */
    char *heap;               /* an inline payload for which the pool had no room */
    bool mapped;              /* the client's own, in reach of the engine */
    struct ros2_mapping mapping;
    char *buf;
    uint32_t chunk, len;
    int64_t result; /* of the engine */
    uint64_t start_ns;
    bool counted; /* read: checksum and bytes of it are in the reply already */
};

struct ros2d_request_kind {
    /* Goes on as far as it can. 0, -EPROTO with a text (the client's fault), or < 0: the connection is of no use. */
    int (*pump)(struct ros2d_request *req);
    /* The engine is done with part, the result is in it. */
    void (*engine_done)(struct ros2d_part *part);
    void (*wire_done)(struct ros2d_part *part, int status);
};

struct ros2d_request {
    struct ros2d_list link;       /* conn->requests */
    struct ros2d_list ready_link; /* thread->ready */
    struct ros2d_request *next_free;
    struct ros2d_thread *thread;
    struct ros2d_lane *lane;
    struct ros2d_connection *conn; /* NULL: ORPHANED */
    struct ros2d_queue_state *queue;
    const struct ros2d_request_kind *kind;
    enum ros2d_request_state state;

    /* What was asked. */
    uint64_t id, offset, handle_id;
    uint32_t length, chunk_len, chunks;
    uint16_t flags;
    uint8_t type;
    bool inlined, append, cancelled;
    bool yielded; /* in thread->ready for others' sake, not for want of room */
    /* A WRITE whose data was cut off with the connection: a replay is to do it, not to be told. */
    bool severed;
    struct ros2d_handle *handle; /* counted in */
    struct ros2d_vector *vector; /* READV: its extents; else NULL */
    struct ros2d_segments segments;
    uint32_t crc_in[ROS2I_WIRE_CRCS_MAX];

    /* Memory. */
    struct ros2d_bounce *pool;
    uint32_t *held;
    uint32_t units;
    bool mappable; /* chunks are tried to be mapped before they take memory of the pool */
    bool waiting;
    struct ros2d_waiter waiter;

    /* How far it is: chunks that were begun, read: that were put, and that the engine was given. */
    uint32_t begun, put, handed;
    uint32_t busy, in_engine; /* parts that are not FREE, and of them those in the engine */
    uint32_t mapped; /* parts with the client's memory: as long as there is one, it gets no reply */
    bool finished;   /* READ: the last chunk, or the end of file, was passed on */
    uint64_t written; /* a bit for each chunk */
    struct ros2d_part part[ROS2D_PARTS];

    /* What comes of it. */
    uint32_t status, bytes, crc;
    uint64_t result_offset;
    uint64_t arrival_ns, first_engine_ns, engine_ns;
    uint8_t reply[ROS2I_WIRE_REPLY_LEN];
};

extern const struct ros2d_request_kind ros2d_read_kind, ros2d_read_vector_kind, ros2d_write_kind,
    ros2d_fsync_kind;

/* -- from the connection -- */

/* A request in its slot, for arrive.c to fill in. NULL: out of memory. */
struct ros2d_request *ros2d_request_create(struct ros2d_connection *conn,
                                           const struct ros2i_msg *msg);
/* A decoded request. 0, or -EPROTO with a text: the channel is to be closed. */
int ros2d_request_arrived(struct ros2d_connection *conn, const struct ros2i_msg *msg);
void ros2d_request_cancel(struct ros2d_connection *conn, uint64_t target_id);
/* The connection ends: the request leaves it. May free it. */
void ros2d_request_orphan(struct ros2d_request *req);

/* -- from the thread -- */

/* Steps all that were ready; returns how many got on. */
int ros2d_requests_run_ready(struct ros2d_thread *thread);
void ros2d_requests_fini(struct ros2d_thread *thread);

/* -- for read.c, read_vector.c, write.c -- */

/* Something has changed: goes on. May free req, and end its connection. */
void ros2d_request_step(struct ros2d_request *req);
/* Steps it again in the next turn: engine or transport had no room. */
void ros2d_request_stall(struct ros2d_request *req);
/* The same, and it would get on: it lets others have their turn. */
void ros2d_request_yield(struct ros2d_request *req);
/* First error wins. */
void ros2d_request_fail(struct ros2d_request *req, uint32_t status);
/* A cancelled request fails unless the engine has all of it. */
void ros2d_request_heed_cancel(struct ros2d_request *req);
/* 1: a part with memory for the next chunk; 0: both are under way, or it has to wait for memory; -EPROTO with a text: the
 * client named memory that it does not have, and the channel is to be closed. */
int ros2d_part_begin(struct ros2d_request *req, struct ros2d_part **part_p);
/* The same for [at, at + len) of the client's memory as it was named. */
int ros2d_part_begin_at(struct ros2d_request *req, uint64_t at, uint32_t len,
                        struct ros2d_part **part_p);
/* Takes back the begin that just was: the chunk is begun again later. */
void ros2d_part_unbegin(struct ros2d_part *part);
void ros2d_part_release(struct ros2d_part *part);
void ros2d_parts_release_landed(struct ros2d_request *req);
/* After an engine call on part's io: 1: done, the result is in part; 0: engine_done() follows; -EAGAIN. */
int ros2d_part_in_engine(struct ros2d_part *part, int rc);
void ros2d_part_prepare(struct ros2d_part *part); /* before an engine call */
/* Counts an operation that the engine has, and one that it has no more: there the request's own count, in_engine, is for the
 * caller, before the step; this comes after it, so that the result is kept before a newer epoch, which may wait for this, can
 * replay. */
void ros2d_engine_entered(struct ros2d_request *req);
void ros2d_engine_left(struct ros2d_thread *thread, struct ros2d_queue_state *queue);
void ros2d_part_on_wire(struct ros2d_part *part);
/* The REPLY's header as it stands now. payload_len: bytes that follow inline. */
void ros2d_request_encode_reply(struct ros2d_request *req, void *buf, uint32_t payload_len);
/* The transport has the reply: the slot is free. */
void ros2d_request_replied(struct ros2d_request *req);
/* Remembers a WRITE's result for a replay. */
void ros2d_request_keep(struct ros2d_request *req);

#endif
