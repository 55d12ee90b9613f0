/* SPDX-License-Identifier: Apache-2.0 */
/* A call at the server, and what a service's handler sees of it. */
#ifndef ROS2D_CALL_H
#define ROS2D_CALL_H

#include <grpc/grpc.h>
#include <protobuf-c/protobuf-c.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/control/arena.h"
#include "daemon/control/replay.h"
#include "daemon/state.h"
#include "ros2/v1/common.pb-c.h"

struct ros2d_call;
struct ros2d_server;

enum ros2d_method_flag {
    ROS2D_METHOD_ANYONE = 1 << 0,     /* no authentication */
    ROS2D_METHOD_NO_SESSION = 1 << 1, /* authenticated, but without a session */
};

/* Handlers run on a control thread and may block. They return 0 or -errno with the error text set. Messages that they
 * make live in the call's arena. */
struct ros2d_method {
    const char *path; /* NULL: whatever is called */
    const ProtobufCMessageDescriptor *request;
    unsigned flags; /* enum ros2d_method_flag */
    /* Unary: *reply_p. Stream: begins it, *reply_p is not set. */
    int (*handle)(struct ros2d_call *call, const void *request, ProtobufCMessage **reply_p);
    /* Stream: the next message, made in page_arena; *reply_p NULL: it has ended, or (park) goes on later. */
    int (*next)(struct ros2d_call *call, ProtobufCMessage **reply_p);
    /* Takes back what handle left in `stream`; may be NULL. */
    void (*end)(struct ros2d_call *call);
    /* The request id in a request, or NULL: none. Unary only; may be NULL. */
    const Ros2__V1__RequestId *(*request_id)(const void *request);
};

/* What a completion queue's event leads to. First member of what it belongs to, or reached by offset. */
struct ros2d_tag {
    void (*event)(struct ros2d_tag *tag, bool ok);
    /* Release before gRPC gets the tag, acquire when a thread gets its event. gRPC orders this too, but a sanitizer cannot
     * see inside of it. */
    _Atomic bool handed_over;
};

/* One reference is the chain of progress events', one the close event's: two threads may be in one call at once, but only
 * one of them in its progress. */
struct ros2d_call {
    struct ros2d_tag progress, close;
    _Atomic unsigned refs;
    _Atomic bool
        handed_over; /* release before gRPC gets the call, acquire with its event on another thread */
    struct ros2d_server *server; /* fixed, like state and method */
    struct ros2d_state *state;
    const struct ros2d_method *method;
    unsigned method_index;
    int awaiting; /* enum of call.c; progress only */
    bool header_sent;
    int was_cancelled; /* gRPC's, until the close event */
    grpc_call *grpc;
    gpr_timespec grpc_deadline;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    /* For handlers: */
    uint64_t deadline_ns;
    struct ros2d_principal principal;
    struct ros2d_session *session; /* a reference; NULL: the method needs none */
    struct ros2d_arena arena, page_arena;
    void *stream;         /* a stream's own */
    bool park;            /* set by next: the stream waits for something else than the client */
    bool unauthenticated; /* set by auth: the error is about who calls, or its session is unknown */
    bool unkept; /* set with an error that is no outcome: a call with this request id runs anew */
    bool again;  /* the same, and the client is told (UNAVAILABLE) to make that call */
    /* Called when the answer could not be handed to gRPC: the client does not know of what was made. May be NULL. */
    void (*undelivered)(struct ros2d_call *call);
    struct ros2d_call *next_watcher; /* guarded by the server's lock */
    bool closed;                     /* guarded by the server's lock: the close event was there */
    /* The answer, kept until it is sent: */
    struct ros2d_replay_entry *replay;
    grpc_byte_buffer *reply;
    grpc_metadata trailer;
    grpc_slice status_text;
};

/* Posts a call that waits for a client to make it. 0 or -ENOMEM, -ESHUTDOWN (the server ends). */
int ros2d_call_post(struct ros2d_server *server, unsigned method_index);
/* Sends the last message and the status of a parked stream; the caller has taken it off the list. */
void ros2d_call_finish_parked(struct ros2d_call *call, const ProtobufCMessage *last);

/* A zeroed piece of the arena; NULL: -ENOMEM's text is set. */
void *ros2d_call_alloc(struct ros2d_call *call, size_t len);
/* First value of a request's metadata key, or NULL; *count_p: how many there are. */
const grpc_slice *ros2d_call_metadata(const struct ros2d_call *call, const char *key,
                                      unsigned *count_p);

#endif
