/* SPDX-License-Identifier: Apache-2.0 */
/* One READ, WRITE or FSYNC of a channel, from its message to its reply. Owner: the data thread.
 *
 * A request is always in exactly one of these places, named by what is awaited:
 *   AWAIT_ROOM    the thread's waiting list: bounce memory, room in the engine or in the transport's send queue
 *   AWAIT_WINDOW  its connection's waiting list: what is moving on the connection has to go down first
 *   AWAIT_PIECES  pieces are in the engine or moving; the last of them goes on with the request
 *   AWAIT_SENT    its reply carries data and is being sent
 * Its connection may go before it: then it is an orphan, which only waits for the engine and answers nobody. */
#ifndef ROS2D_REQUEST_H
#define ROS2D_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/tenant/handles.h"
#include "lib/protocol/wire.h"
#include "ros2/engine.h"
#include "ros2/transport.h"

#define ROS2D_PIECES \
    2 /* chunks of one request under way at a time: one in the engine while one moves */

struct ros2d_thread;
struct ros2d_connection;
struct ros2d_queue_state;
struct ros2d_request;

enum ros2d_request_state {
    ROS2D_REQUEST_AWAIT_ROOM,
    ROS2D_REQUEST_AWAIT_WINDOW,
    ROS2D_REQUEST_AWAIT_PIECES,
    ROS2D_REQUEST_AWAIT_SENT,
};

/* What run() and its parts return. */
enum ros2d_progress {
    ROS2D_DONE,        /* the request has ended and its memory is back in the pool */
    ROS2D_WAIT_PIECES, /* callbacks go on with it */
    ROS2D_WAIT_ROOM,
    ROS2D_WAIT_WINDOW,
};

enum ros2d_piece_state {
    ROS2D_PIECE_FREE,
    ROS2D_PIECE_ENGINE, /* the engine has io */
    ROS2D_PIECE_READ,   /* read; waits for its turn to be put */
    ROS2D_PIECE_MOVING, /* the transport has op */
};

struct ros2d_piece {
    struct ros2d_request *request;
    enum ros2d_piece_state state;
    uint8_t *buffer;  /* leased, or the request's own gather buffer */
    uint32_t at, len; /* of the request's range */
    struct ros2_io io;
    struct ros2_op op;
};

struct ros2d_request {
    struct ros2d_request *next, *prev; /* in a waiting list or the pool */
    struct ros2d_request *active_next,
        *active_prev; /* all of the connection, or the thread's orphans */
    struct ros2d_thread *thread;
    struct ros2d_connection *connection; /* NULL: an orphan */
    struct ros2d_queue_state *queue;
    struct ros2d_handle *handle; /* counted in */
    enum ros2d_request_state state;
    uint8_t type; /* READ, WRITE, FSYNC */
    uint16_t flags;
    bool started;   /* something reached the engine or the transport */
    bool cancelled; /* nothing new is to be started */
    bool replied;   /* the reply is queued; only pieces are left to come back */
    bool append;
    bool inlined;     /* the data rides in the messages */
    bool answer_only; /* the result is known: a cached write */
    uint64_t id;
    uint64_t offset;
    uint32_t length;
    uint64_t arrival_ns, engine_start_ns;
    uint64_t engine_ns, queue_ns;

    uint32_t issued;       /* bytes of the range that were given to pieces */
    uint32_t finished;     /* READ: bytes put, from the start; a cached result: its bytes */
    uint32_t written;      /* WRITE: bytes that the engine has written, in whatever order */
    uint32_t end;          /* READ: where the file ended, at most length */
    uint32_t error;        /* positive errno, 0: none */
    uint32_t error_at;     /* the lowest range byte that failed */
    uint32_t crc;          /* READ: over what was put */
    uint64_t write_offset; /* append: where it went */
    uint8_t *gather;       /* append: all data, malloc'ed */
    uint8_t *small;        /* leased: inline payload, or the reply with it */
    struct ros2d_piece piece[ROS2D_PIECES];
    uint8_t reply[ROS2I_WIRE_REPLY_LEN]; /* encoded, borrowed by the last put */

    uint16_t segment_count, crc_count;
    /* From here on only as much is set as segment_count and crc_count say. */
    struct ros2i_segment segment[ROS2I_WIRE_SEGMENTS_MAX];
    struct ros2_rkey *rkey[ROS2I_WIRE_SEGMENTS_MAX]; /* of segments that name a region */
    uint32_t crcs[ROS2I_WIRE_CRCS_MAX];
};

struct ros2d_request_list {
    struct ros2d_request *first, *last;
};

/* Takes a decoded READ, WRITE or FSYNC: checks it, runs it as far as it goes, answers what is wrong with it. < 0: the peer
 * broke the protocol (error text is set) and the channel is to be closed. */
int ros2d_request_begin(struct ros2d_connection *connection, const struct ros2i_msg *msg);
/* CANCEL. A request that is not there has been answered already. */
void ros2d_request_cancel(struct ros2d_connection *connection, uint64_t id);
/* The connection goes: its requests end, or become orphans where the engine still has a piece. */
void ros2d_requests_orphan(struct ros2d_connection *connection);
/* Goes on with what waited, after something was released. Returns how many moved. */
int ros2d_requests_resume(struct ros2d_thread *thread);
/* The thread ends: the pool's memory. */
void ros2d_requests_fini(struct ros2d_thread *thread);

/* -- between request.c, read.c and write.c -- */

/* Goes on with a request after a piece came back or what it waited for may be there. It may be gone on return. */
void ros2d_request_advance(struct ros2d_request *r);
enum ros2d_progress ros2d_read_run(struct ros2d_request *r);
enum ros2d_progress ros2d_write_run(struct ros2d_request *r);
enum ros2d_progress ros2d_fsync_run(struct ros2d_request *r);

/* The connection is there and READY: something may be sent. */
bool ros2d_request_live(const struct ros2d_request *r);
/* The reply is queued: its slot may be used again by the peer. */
void ros2d_request_replied(struct ros2d_request *r);
void ros2d_request_failed(struct ros2d_request *r, uint32_t at, int negative_errno);
bool ros2d_request_idle(const struct ros2d_request *r); /* no piece is out */
/* Fills reply's header fields from the request; payload stays empty. */
void ros2d_request_reply(const struct ros2d_request *r, uint32_t bytes, struct ros2i_msg *msg);
/* Sends the reply without payload and ends the request, or waits for room. */
enum ros2d_progress ros2d_request_answer(struct ros2d_request *r, uint32_t bytes);
enum ros2d_progress ros2d_request_end(struct ros2d_request *r);
/* [at, at + len) of the request's range as pieces of the client's regions; returns how many. */
int ros2d_request_remotes(const struct ros2d_request *r, uint32_t at, uint32_t len,
                          struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX]);
struct ros2d_piece *ros2d_request_free_piece(struct ros2d_request *r);
/* Notes the time at which the engine got the request's first piece. */
void ros2d_request_engine_started(struct ros2d_request *r);
void ros2d_piece_release(struct ros2d_piece *piece); /* its chunk; the piece is FREE */
/* The window: bytes moving on the connection. */
bool ros2d_window_open(const struct ros2d_request *r);
void ros2d_window_add(struct ros2d_request *r, uint32_t len);
void ros2d_window_sub(struct ros2d_request *r, uint32_t len);

#endif
