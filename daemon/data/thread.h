/* SPDX-License-Identifier: Apache-2.0 */
/* A data thread: its lanes (one for each transport), one engine context, and all that hangs on them. Everything below is its
 * own; others reach it through the mailbox only. */
#ifndef ROS2D_THREAD_H
#define ROS2D_THREAD_H

#include <pthread.h>
#include <semaphore.h>

#include "daemon/data/bounce.h"
#include "daemon/data/counters.h"
#include "daemon/data/lane.h"
#include "daemon/data/list.h"
#include "daemon/data/mailbox.h"
#include "daemon/data/queue_state.h"
#include "daemon/state.h"
#include "lib/base/timers.h"

struct ros2d_request;
struct ros2d_vector;

struct ros2d_thread {
    /* Fixed before the thread starts. */
    const struct ros2d_state *state;
    const struct ros2_engine_ops *engine_ops;
    unsigned index;
    struct ros2d_lane lane[ROS2D_TRANSPORTS_MAX]; /* in the order of data.transport */
    unsigned lane_count;
    struct ros2d_mailbox mailbox; /* any thread posts */
    pthread_t id;
    /* The result of its start, read by the starter after it waited for `started`. */
    sem_t started;
    int start_rc;
    char start_error[512];

    /* The thread's own. */
    uint64_t look_ns; /* when all lanes are to be looked at */
    struct ros2_io_context *context;
    struct ros2d_bounce chunks; /* data.chunk each: large reads and writes */
    struct ros2d_bounce small;  /* inline payloads, with room for the reply's header in front */
    struct ros2i_timers timers;
    struct ros2d_queues queues;
    struct ros2d_list unproved, proved; /* connections, oldest first */
    uint32_t unproved_count, proved_count;
    struct ros2d_list dead; /* connections that end; their memory goes at the end of the turn */
    struct ros2d_list
        ready; /* requests to be stepped: memory was granted, or engine or transport had no room */
    struct ros2d_request *free_requests;
    struct ros2d_vector *free_vectors; /* for READVs to come */
    uint32_t free_vector_count;
    struct ros2d_list slabs;
    uint64_t in_engine;
    uint64_t now_ns; /* of this turn */
    bool draining;
    uint64_t drain_deadline_ns;
    uint64_t goodbye_ns;    /* drained: closed channels may linger until then; 0: not yet */
    uint64_t log_window_ns; /* complaints about peers are rationed */
    unsigned logged;
    struct ros2d_counters counters; /* written by the thread, read by any */
};

/* The thread function; arg: struct ros2d_thread. */
void *ros2d_thread_run(void *arg);
/* One line about a peer's fault, at most ten a second. */
void ros2d_thread_complain(struct ros2d_thread *thread, const char *peer, const char *text);

#endif
