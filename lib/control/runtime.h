/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC in this process: started by the first call, shut down when idle, with the last control, and around fork().
 *
 * gRPC C core survives no fork(): its threads are gone in the child and its locks are in any state. So before a fork all
 * calls are ended, all channels and queues destroyed and gRPC is shut down; both processes start it anew. Everything that
 * belongs to one life of gRPC (channel, completion queues) is therefore kept here. */
#ifndef ROS2I_RUNTIME_H
#define ROS2I_RUNTIME_H

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stdint.h>

/* One control's part of it, embedded there. */
struct ros2i_grpc_client {
    /* Makes the channel; called without a lock, gRPC is up. Never NULL: gRPC reports what is wrong in the first call. */
    grpc_channel *(*make_channel)(struct ros2i_grpc_client *client);
    /* Called in a forked child, with the runtime locked. */
    void (*forked)(struct ros2i_grpc_client *client);
    grpc_channel *channel;          /* guarded by the runtime's lock; NULL: none in this life */
    struct ros2i_grpc_client *next; /* guarded by the runtime's lock */
};

/* One attempt of a call, on its caller's stack. */
struct ros2i_grpc_use {
    grpc_channel *channel;        /* both for the caller, from enter to leave */
    grpc_completion_queue *queue; /* for pluck, this caller's alone */
    /* The rest is the runtime's. */
    grpc_call *call;
    bool interrupted;
    struct ros2i_grpc_use *next;
};

void ros2i_runtime_add(struct ros2i_grpc_client *client);
/* The client has no calls. Ends gRPC when it was the last one. Blocks for that (milliseconds). */
void ros2i_runtime_remove(struct ros2i_grpc_client *client);

/* Starts gRPC when it is down; waits while another thread forks. 0 or -ETIMEDOUT, -ENOMEM. */
int ros2i_runtime_enter(struct ros2i_grpc_client *client, uint64_t deadline_ns,
                        struct ros2i_grpc_use *use);
/* Makes the call known, so that a fork cancels it. false: a fork is waiting already, do not start it. */
bool ros2i_runtime_publish(struct ros2i_grpc_use *use, grpc_call *call);
/* Before the caller drops its reference: no fork cancels the call any more. */
void ros2i_runtime_withdraw(struct ros2i_grpc_use *use);
/* All gRPC objects of the attempt have been freed. true: a fork ended it, try again. */
bool ros2i_runtime_leave(struct ros2i_grpc_use *use);

/* Guards what a forked child must find whole (sessions, request ids). Never held over a blocking call. */
void ros2i_runtime_lock(void);
void ros2i_runtime_unlock(void);

/* What gRPC's TLS code logged last, if it was after since_ns (monotonic): copies it. false: nothing. The library's error
 * status often says less ("Socket closed"). */
bool ros2i_runtime_tls_text(uint64_t since_ns, char *text, size_t len);

/* Tests: idle time before shutdown; whether gRPC is up. */
void ros2i_runtime_set_idle_ns(uint64_t idle_ns);
bool ros2i_runtime_is_up(void);

#endif
