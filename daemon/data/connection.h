/* SPDX-License-Identifier: Apache-2.0 */
/* A data channel at the daemon's end. Owner: the data thread. */
#ifndef ROS2D_CONNECTION_H
#define ROS2D_CONNECTION_H

#include "daemon/data/queue_state.h"
#include "daemon/data/request.h"
#include "lib/base/timers.h"
#include "ros2/transport.h"

/* Named for what is awaited. */
enum ros2d_connection_state {
    ROS2D_CONNECTION_AWAIT_HELLO,
    ROS2D_CONNECTION_AWAIT_PROOF,
    ROS2D_CONNECTION_AWAIT_FENCE, /* proved; older epochs are still in the engine */
    ROS2D_CONNECTION_READY,
    ROS2D_CONNECTION_DOOMED, /* to be closed when the loop comes round */
};

#define ROS2D_HANDSHAKE_MESSAGE_MAX 256
#define ROS2D_RKEYS                 16

struct ros2d_rkey_entry {
    uint64_t region_id;
    struct ros2_rkey *rkey;
    uint32_t users;
};

struct ros2d_connection {
    struct ros2d_connection *next, *prev; /* the thread's list; unproved ones oldest first */
    struct ros2d_connection *doomed_next;
    struct ros2d_thread *thread;
    struct ros2_ep *ep;
    enum ros2d_connection_state state;
    bool graceful;            /* DOOMED: let what is queued go out first */
    bool proved;              /* in the thread's list of those, not of the unproved */
    bool superseded;          /* DOOMED by a newer epoch, which waits for its end */
    struct ros2i_timer timer; /* handshake */
    char peer[80];

    /* Handshake */
    struct ros2d_session
        *session; /* referenced; NULL: unknown (the peer is not told before its proof) */
    uint8_t secret[ROS2I_SECRET_LEN];
    uint8_t nonce[ROS2I_NONCE_LEN];
    uint64_t epoch;
    uint32_t queue_number;
    uint8_t hello[ROS2D_HANDSHAKE_MESSAGE_MAX], challenge[ROS2D_HANDSHAKE_MESSAGE_MAX];
    size_t hello_len, challenge_len;
    uint32_t credits, inline_limit, options; /* negotiated */

    /* READY */
    struct ros2d_queue_state *queue;
    struct ros2d_request *active; /* list of requests */
    uint32_t active_count;
    uint64_t
        busy[ROS2I_WIRE_CREDITS_MAX / 64]; /* a bit per slot: a request that is not answered yet */
    struct ros2d_request_list waiting;     /* for the window */
    uint64_t moving;                       /* bytes of pieces that the transport has */
    struct ros2d_rkey_entry rkey[ROS2D_RKEYS];
};

extern const struct ros2_ep_handler ros2d_connection_handler;

/* A new endpoint of the listener: takes it, or closes it when the daemon is at its limit. */
void ros2d_connection_accept(struct ros2d_thread *thread, struct ros2_ep *ep);
/* Ends the connection soon, from any callback. The error text, if why is set, is logged. */
void ros2d_connection_doom(struct ros2d_connection *connection, const char *why);
/* Closes and frees all doomed connections; returns how many. Never called from a callback. */
int ros2d_connections_reap(struct ros2d_thread *thread);
/* A newer epoch of its queue proved itself. */
void ros2d_connection_supersede(struct ros2d_connection *connection);
/* An orphan of queue ended: lets a connection that waits for the fence in. */
void ros2d_connection_fence_passed(struct ros2d_queue_state *queue);
void ros2d_connections_close_session(struct ros2d_thread *thread, struct ros2d_session *session);
/* Drain: closes connections that have nothing in flight (all, with force). */
void ros2d_connections_drain(struct ros2d_thread *thread, bool force);

/* The imported key of a registered region for this channel, checked for this transfer (bytes [offset, offset + len), right).
 * 0 and a use of the region and of the key, which the request gives back at its end; -EACCES, -ERANGE, -ENOENT, -ENOBUFS. */
int ros2d_connection_region(struct ros2d_connection *connection,
                            const struct ros2i_segment *segment, uint32_t right,
                            struct ros2_rkey **rkey_p);

#endif
