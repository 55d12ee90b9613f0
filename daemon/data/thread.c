/* SPDX-License-Identifier: Apache-2.0 */
/* A data thread's loop. One turn: the transports, the engine, requests that were waiting, letters, timers. It polls for
 * data.spin_us after the last work, then sleeps on the descriptors of all of them: an idle daemon uses no CPU. Nothing here
 * blocks; what the engine is asked to do, it does elsewhere. */
#include "config.h"

#include "daemon/data/thread.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/data/connection.h"
#include "daemon/data/request.h"
#include "daemon/data/vector.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

#define ENGINE_DEPTH          1024
#define SMALL_UNITS_MAX       2048u
#define COMPLAINTS_PER_SECOND 10
/* A transport without a descriptor is looked at this often once it is idle. */
#define POLL_ONLY_SLEEP_NS 100000u
/* At the end, for peers to take the last replies and hang up. */
#define GOODBYE_NS ROS2I_NS_PER_S
/* Beyond this many more than channels, a session's queues without one are forgotten, the longest idle first. */
#define IDLE_QUEUES 4096u

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void ros2d_thread_complain(struct ros2d_thread *thread, const char *peer, const char *text)
{
    uint64_t now_ns = ros2i_now_ns();

    if (now_ns - thread->log_window_ns >= ROS2I_NS_PER_S) {
        if (thread->logged > COMPLAINTS_PER_SECOND)
            ros2i_log(ROS2_LOG_WARN, "data", "suppressed %u lines like the last",
                      thread->logged - COMPLAINTS_PER_SECOND);
        thread->log_window_ns = now_ns;
        thread->logged = 0;
    }
    if (thread->logged++ < COMPLAINTS_PER_SECOND)
        ros2i_log(ROS2_LOG_WARN, "data", "peer %s: %s", peer, text);
}

/* -- letters -- */

static void end_all(struct ros2d_list *list, bool gracefully)
{
    while (!ros2d_list_empty(list))
        ros2d_connection_end(ROS2D_CONTAINER(list->next, struct ros2d_connection, link),
                             gracefully);
}

static void end_session_in(struct ros2d_list *list, const struct ros2d_session *session)
{
    struct ros2d_list *next;

    for (struct ros2d_list *at = list->next; at != list; at = next) {
        struct ros2d_connection *conn = ROS2D_CONTAINER(at, struct ros2d_connection, link);
        next = at->next;
        if (conn->session == session)
            ros2d_connection_end(conn, true);
    }
}

static void start_draining(struct ros2d_thread *thread, uint64_t deadline_ns)
{
    thread->drain_deadline_ns = deadline_ns;
    if (thread->draining)
        return;
    thread->draining = true;
    for (unsigned i = 0; i < thread->lane_count; i++)
        ros2d_lane_stop_listening(&thread->lane[i]);
    end_all(&thread->unproved, false);
}

static int read_letters(struct ros2d_thread *thread)
{
    struct ros2d_letter *letter = ros2d_mailbox_take(&thread->mailbox), *next;
    int count = 0;

    for (; letter; letter = next, count++) {
        next = letter->next;
        if (letter->kind == ROS2D_LETTER_DRAIN) {
            start_draining(thread, letter->deadline_ns);
        } else {
            end_session_in(&thread->unproved, letter->session);
            end_session_in(&thread->proved, letter->session);
            ros2d_queues_drop_session(&thread->queues, letter->session->serial);
        }
        ros2d_letter_free(letter);
    }
    return count;
}

/* Channels without a request go, at the deadline all. True: nothing is left. */
static bool drained(struct ros2d_thread *thread)
{
    struct ros2d_list *next;
    bool late = ros2i_now_ns() >= thread->drain_deadline_ns;

    for (struct ros2d_list *at = thread->proved.next; at != &thread->proved; at = next) {
        struct ros2d_connection *conn = ROS2D_CONTAINER(at, struct ros2d_connection, link);
        next = at->next;
        if (late || !ros2d_connection_is_busy(conn))
            ros2d_connection_end(conn, !late);
    }
    return ros2d_list_empty(&thread->proved) && thread->in_engine == 0;
}

/* The transports send on what closed channels were told last, but only as long as their domains are there. */
static bool has_said_goodbye(struct ros2d_thread *thread)
{
    uint64_t now_ns = ros2i_now_ns();

    if (!thread->goodbye_ns)
        thread->goodbye_ns = now_ns + GOODBYE_NS;
    return now_ns >= thread->goodbye_ns || ros2d_lanes_lingering(thread) == 0;
}

/* -- sleep -- */

static uint64_t wake_time(const struct ros2d_thread *thread)
{
    uint64_t next_ns = ros2i_timers_next(&thread->timers);

    if (thread->draining && !ros2d_list_empty(&thread->proved) &&
        thread->drain_deadline_ns < next_ns)
        next_ns = thread->drain_deadline_ns;
    if (thread->goodbye_ns && thread->goodbye_ns < next_ns)
        next_ns = thread->goodbye_ns;
    return next_ns;
}

static void sleep_on(struct ros2d_thread *thread)
{
    struct pollfd fds[2 + ROS2D_TRANSPORTS_MAX] = {
        {.fd = thread->mailbox.fd, .events = POLLIN},
        {.fd = thread->engine_ops->context_fd(thread->context), .events = POLLIN},
    };
    uint64_t until_ns = wake_time(thread), now_ns = ros2i_now_ns(), wait_ns = 0;
    bool poll_only = false;
    struct timespec timeout;

    for (unsigned i = 0; i < thread->lane_count; i++) {
        /* negative: ppoll passes it over */
        fds[2 + i] = (struct pollfd){.fd = thread->lane[i].fd, .events = POLLIN};
        poll_only |= thread->lane[i].fd < 0;
    }
    if (until_ns > now_ns)
        wait_ns = until_ns - now_ns;
    if (poll_only && wait_ns > POLL_ONLY_SLEEP_NS)
        wait_ns = POLL_ONLY_SLEEP_NS;
    timeout.tv_sec = (time_t)(wait_ns / ROS2I_NS_PER_S);
    timeout.tv_nsec = (long)(wait_ns % ROS2I_NS_PER_S);
    (void)ppoll(fds, 2 + thread->lane_count,
                until_ns == ROS2I_FOREVER && !poll_only ? NULL : &timeout, NULL);
}

/* A transport may have made room while it flushed: whoever waited for that goes first. */
static void go_to_sleep(struct ros2d_thread *thread)
{
    if (!ros2d_lanes_arm(thread))
        return;
    if (!ros2d_list_empty(&thread->ready) && ros2d_requests_run_ready(thread) > 0)
        return;
    sleep_on(thread);
}

/* -- the loop -- */

static int turn(struct ros2d_thread *thread)
{
    int work = ros2d_lanes_progress(thread);

    work += thread->engine_ops->poll(thread->context);
    if (!ros2d_list_empty(&thread->ready))
        work += ros2d_requests_run_ready(thread);
    work += read_letters(thread);
    thread->now_ns = ros2i_now_ns();
    if (ros2i_timers_next(&thread->timers) <= thread->now_ns)
        work += ros2i_timers_run(&thread->timers, thread->now_ns);
    ros2d_connections_free_dead(thread);
    return work;
}

static void loop(struct ros2d_thread *thread)
{
    uint64_t spin_ns = thread->state->config->data.spin_us * 1000ull, last_work_ns = 0;

    for (;;) {
        if (turn(thread) > 0)
            last_work_ns = thread->now_ns;
        else if (thread->now_ns - last_work_ns < spin_ns)
            relax();
        else
            go_to_sleep(thread);
        if (thread->draining && drained(thread) && has_said_goodbye(thread))
            return;
    }
}

/* -- start and end -- */

static int open_memory(struct ros2d_thread *thread)
{
    const struct ros2d_config *config = thread->state->config;
    uint32_t chunk = config->data.chunk, units = config->data.bounce_memory / chunk;
    uint32_t largest = (config->data.max_io - 1) / chunk + 1;
    size_t small_len = (ROS2D_INLINE_HEAD + config->data.inline_limit + 63u) & ~(size_t)63;
    uint32_t small_units = (uint32_t)(config->data.bounce_memory / small_len);
    int rc = ros2d_bounce_init(&thread->chunks, chunk, units, largest);

    if (rc < 0)
        return rc;
    return ros2d_bounce_init(&thread->small, small_len,
                             small_units < SMALL_UNITS_MAX ? small_units : SMALL_UNITS_MAX, 1);
}

static int open_all(struct ros2d_thread *thread)
{
    const struct ros2d_config *config = thread->state->config;
    int rc = open_memory(thread);

    if (rc == 0)
        rc = ros2d_queues_init(&thread->queues, config->data.max_channels + IDLE_QUEUES,
                               config->data.credits);
    if (rc == 0)
        rc = thread->engine_ops->context_open(thread->state->tenant->engine, ENGINE_DEPTH,
                                              &thread->context);
    for (unsigned i = 0; rc == 0 && i < thread->lane_count; i++)
        rc = ros2d_lane_open(&thread->lane[i]);
    return rc;
}

/* Takes back what open_all() got to. */
static void close_all(struct ros2d_thread *thread)
{
    for (unsigned i = 0; i < thread->lane_count; i++)
        ros2d_lane_close(&thread->lane[i]);
    if (thread->context)
        thread->engine_ops->context_close(thread->context);
    ros2d_connections_free_dead(thread);
    ros2d_queues_fini(&thread->queues);
    ros2d_requests_fini(thread);
    ros2d_vectors_fini(thread);
    ros2d_bounce_fini(&thread->small);
    ros2d_bounce_fini(&thread->chunks);
    ros2i_timers_fini(&thread->timers);
}

void *ros2d_thread_run(void *arg)
{
    struct ros2d_thread *thread = arg;

    ros2d_list_init(&thread->unproved);
    ros2d_list_init(&thread->proved);
    ros2d_list_init(&thread->dead);
    ros2d_list_init(&thread->ready);
    ros2d_list_init(&thread->slabs);
    ros2i_timers_init(&thread->timers);
    thread->start_rc = open_all(thread);
    if (thread->start_rc < 0) {
        strncpy(thread->start_error, ros2i_error(), sizeof(thread->start_error) - 1);
        close_all(thread);
        sem_post(&thread->started);
        return NULL;
    }
    sem_post(&thread->started);
    loop(thread);
    close_all(thread);
    return NULL;
}
