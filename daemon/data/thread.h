/* SPDX-License-Identifier: Apache-2.0 */
/* A data thread: one loop over its transport domain, its engine context, its timers and its mailbox. It never blocks but
 * in its one sleep. Owner of everything here: the thread, from its start to its join. */
#ifndef ROS2D_THREAD_H
#define ROS2D_THREAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "daemon/data/bounce.h"
#include "daemon/data/connection.h"
#include "daemon/data/mailbox.h"
#include "daemon/data/queue_state.h"
#include "daemon/data/request.h"
#include "daemon/state.h"
#include "lib/base/timers.h"

struct ros2d_thread {
    /* Fixed after start. */
    struct ros2d_state *state;
    const struct ros2d_config *config;
    unsigned index;
    pthread_t id;
    char address[128];
    sem_t opened; /* posted once open_error is set */
    int open_error;
    char open_text[256];
    const struct ros2_transport_ops *transport;
    const struct ros2_engine_ops *engine;

    struct ros2_domain *domain;
    struct ros2_listener *listener; /* NULL once draining */
    struct ros2_io_context *io;
    struct ros2d_bounce bounce;
    struct ros2i_timers timers;
    struct ros2d_mailbox mailbox;
    struct ros2d_queue_states queues;
    struct ros2d_connection *connections, *unproved_oldest, *unproved_newest;
    uint32_t connection_count, unproved_count;
    struct ros2d_connection *doomed;
    struct ros2d_request *pool;
    void *slabs; /* memory of requests, chained */
    struct ros2d_request *orphans;
    struct ros2d_request_list waiting; /* for room */
    bool room;                         /* something that requests wait for was released */
    uint64_t now_ns;                   /* as of this turn of the loop */
    bool draining;
    uint64_t drain_deadline_ns;
    uint32_t log_budget; /* lines about misbehaving peers left in this second */
    uint64_t log_second;

    struct {
        uint64_t requests, read_bytes, written_bytes, errors, channels, refused;
    } count;
};

/* Starts a thread that listens on address ("HOST:PORT"); returns when it does. -errno with a text when it cannot. */
int ros2d_thread_start(struct ros2d_state *state, unsigned index, const char *address,
                       struct ros2d_thread **thread_p);
/* As bound. */
const char *ros2d_thread_address(const struct ros2d_thread *thread);
/* Posts a drain; join with ros2d_thread_join. */
void ros2d_thread_stop(struct ros2d_thread *thread, uint64_t deadline_ns);
void ros2d_thread_join(struct ros2d_thread *thread);
/* After join. */
void ros2d_thread_destroy(struct ros2d_thread *thread);
/* Any thread: closes the session's channels; takes a reference for as long as the mail is under way. */
void ros2d_thread_session_closed(struct ros2d_thread *thread, struct ros2d_session *session);

/* True while lines about bad peers are under this second's budget. */
bool ros2d_thread_may_log(struct ros2d_thread *thread);

#endif
