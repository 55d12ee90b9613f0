/* SPDX-License-Identifier: Apache-2.0 */
/* One data channel at the daemon's end. Owner: its data thread. */
#ifndef ROS2D_CONNECTION_H
#define ROS2D_CONNECTION_H

#include "daemon/data/handshake.h"
#include "daemon/data/list.h"
#include "daemon/data/segments.h"
#include "daemon/data/thread.h"

enum ros2d_connection_state {
    ROS2D_AWAIT_HELLO,
    ROS2D_AWAIT_PROOF,
    ROS2D_AWAIT_FENCE, /* proved; the engine still works for an older epoch of its queue */
    ROS2D_READY,       /* awaits requests */
    ROS2D_ENDED,       /* no endpoint any more; freed at the end of the turn */
};

struct ros2d_request;

struct ros2d_connection {
    struct ros2d_list link; /* thread->unproved, proved or dead */
    struct ros2d_thread *thread;
    struct ros2d_lane *lane;
    const struct ros2_transport_ops *ops; /* the lane's */
    struct ros2_ep *ep;                   /* NULL: ENDED */
    enum ros2d_connection_state state;
    struct ros2i_timer timer; /* the handshake's deadline; once proved, that of its transfers */
    char peer[64];

    struct ros2d_handshake handshake; /* up to READY */
    struct ros2d_negotiated negotiated;
    struct ros2d_session *session; /* a reference; NULL: unknown, or before HELLO */
    struct ros2d_queue_state *queue;
    uint64_t epoch;

    /* From READY on: */
    struct ros2d_request **slot; /* negotiated.credits: the request in flight, or NULL */
    struct ros2d_list requests;  /* all that still use this connection, replied ones too */
    uint32_t request_count;
    uint32_t chunks_held, small_held; /* units of the thread's pools */
    uint32_t on_wire;                 /* parts of its requests that the transport has */
    uint64_t progress_ns;             /* when the first of them began, or the last one ended */
    struct ros2d_rkeys rkeys;
};

/* The listener's on_accept. */
void ros2d_connection_accept(struct ros2d_lane *lane, struct ros2_ep *ep);
/* Ends it: what is queued is still sent when gracefully, requests are dropped or left to the engine. Any state, any time on
 * the owner thread; memory stays until the end of the turn. */
void ros2d_connection_end(struct ros2d_connection *conn, bool gracefully);
/* The peer broke the protocol: logs ros2i_error() and ends it. */
void ros2d_connection_breach(struct ros2d_connection *conn);
/* The engine has none of older epochs any more. */
void ros2d_connection_unfence(struct ros2d_connection *conn);
/* The transport has taken a part of one of its requests; has done with it. */
void ros2d_connection_wire_begun(struct ros2d_connection *conn);
void ros2d_connection_wire_done(struct ros2d_connection *conn);
/* Is any request of it without its reply, or with one that is not yet out? */
bool ros2d_connection_is_busy(const struct ros2d_connection *conn);
void ros2d_connections_free_dead(struct ros2d_thread *thread);

#endif
