/* SPDX-License-Identifier: Apache-2.0 */
/* The server's inside, and the table of all methods. */
#ifndef ROS2D_SERVICE_H
#define ROS2D_SERVICE_H

#include <pthread.h>

#include "daemon/control/call.h"
#include "daemon/control/server.h"

/* One per service; each ends with an entry without a handler. */
extern const struct ros2d_method ros2d_session_methods[], ros2d_namespace_methods[],
    ros2d_memory_methods[], ros2d_health_methods[];

#define ROS2D_METHODS_MAX 32

struct ros2d_server {
    /* Fixed after start: */
    struct ros2d_state *state;
    grpc_server *grpc;
    grpc_completion_queue *queue;
    struct ros2d_replay *replay;
    const struct ros2d_method *method[ROS2D_METHODS_MAX];
    void *registered[ROS2D_METHODS_MAX]; /* gRPC's; NULL for the one that takes all others */
    unsigned method_count;
    pthread_t *thread;
    unsigned thread_count;
    char address[256];
    /* --- */
    _Atomic bool stopping;         /* relaxed: posts and health only look */
    _Atomic uint64_t next_tick_ns; /* relaxed: whoever moves it does the housekeeping */
    _Atomic unsigned busy;         /* relaxed: control threads that are in an event */
    struct ros2d_tag shutdown;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut_down; /* guarded by lock: gRPC has no client left */
    unsigned calls; /* guarded by lock: posted or taken; each may yet start a batch on the queue */
    struct ros2d_call *watchers; /* guarded by lock: parked health watches */
    unsigned watcher_count;      /* guarded by lock */
};

/* May a handler wait for something else than the engine? 0, or -EAGAIN: it would take the last free control thread, and
 * nobody else were served, or the server ends. */
int ros2d_server_may_wait(struct ros2d_server *server);
/* A call was made; its memory is gone. The end of the server waits for all of them. */
void ros2d_server_call_made(struct ros2d_server *server);
void ros2d_server_call_gone(struct ros2d_server *server);
/* A watch that waits: false when its client is gone, or the server ends or has too many; then it is not taken. */
bool ros2d_server_add_watcher(struct ros2d_server *server, struct ros2d_call *call);
/* Its client is gone. true: it was on the list, and is the caller's now. */
bool ros2d_server_close_watcher(struct ros2d_server *server, struct ros2d_call *call);
/* Answers all watchers that the server does not serve any more. */
void ros2d_health_stop(struct ros2d_server *server);

#endif
