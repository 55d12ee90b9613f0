/* SPDX-License-Identifier: Apache-2.0 */
/* The data thread's loop: look at everything once; while there is work, again; without work spin for a bounded time, since
 * the next request is often a few microseconds away, then arm the transport and sleep. An idle thread uses no CPU. */
#include "config.h"

#include "daemon/data/thread.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"

#define SMALL_BUFFERS      1024
#define ENGINE_DEPTH       1024
#define QUEUES_MAX         65536
#define LOG_LINES_A_SECOND 10

bool ros2d_thread_may_log(struct ros2d_thread *thread)
{
    uint64_t second = ros2i_now_ns() / ROS2I_NS_PER_S;

    if (second != thread->log_second) {
        thread->log_second = second;
        thread->log_budget = LOG_LINES_A_SECOND;
    }
    return thread->log_budget > 0 && thread->log_budget-- > 0;
}

/* -- open, close -- */

static void on_accept(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    (void)listener;
    ros2d_connection_accept(arg, ep);
}

static int open_domain(struct ros2d_thread *thread)
{
    const struct ros2_domain_options options = {
        .size = sizeof(options),
        .host = &ros2i_host,
        .max_message = ROS2I_WIRE_MESSAGE_MAX,
    };
    int rc = thread->transport->domain_open(&options, &thread->domain);

    if (rc < 0)
        return rc;
    rc = thread->transport->listen(thread->domain, thread->address, on_accept, thread,
                                   &thread->listener);
    if (rc == 0)
        rc = thread->transport->listener_address(thread->listener, thread->address,
                                                 sizeof(thread->address));
    if (rc < 0)
        thread->transport->domain_close(thread->domain);
    return rc;
}

/* On the thread itself: a domain and a context belong to the thread that opened them. */
static int open_all(struct ros2d_thread *thread)
{
    const struct ros2d_config *config = thread->config;
    int rc = ros2i_plugin_transport(config->data.transport, &thread->transport);

    if (rc == 0)
        rc = ros2d_bounce_init(&thread->bounce, config->data.chunk, config->data.bounce_memory,
                               ROS2I_WIRE_REPLY_LEN + (size_t)config->data.inline_limit,
                               SMALL_BUFFERS);
    if (rc < 0)
        return rc;
    rc = thread->engine->context_open(thread->state->tenant->engine, ENGINE_DEPTH, &thread->io);
    if (rc < 0)
        goto fini_bounce;
    rc = open_domain(thread);
    if (rc < 0)
        goto close_context;
    return 0;
close_context:
    thread->engine->context_close(thread->io);
fini_bounce:
    ros2d_bounce_fini(&thread->bounce);
    return rc;
}

static void close_all(struct ros2d_thread *thread)
{
    thread->transport->domain_close(thread->domain);
    thread->engine->context_close(thread->io);
    ros2d_requests_fini(thread);
    ros2d_bounce_fini(&thread->bounce);
}

static int create(struct ros2d_state *state, unsigned index, const char *address,
                  struct ros2d_thread **thread_p)
{
    struct ros2d_thread *thread = calloc(1, sizeof(*thread));
    int rc;

    if (!thread)
        return ros2i_fail(ENOMEM, "data thread: no memory");
    thread->state = state;
    thread->config = state->config;
    thread->index = index;
    thread->engine = state->tenant->engine_ops;
    snprintf(thread->address, sizeof(thread->address), "%s", address);
    rc = ros2d_mailbox_init(&thread->mailbox);
    if (rc < 0) {
        free(thread);
        return rc;
    }
    ros2i_timers_init(&thread->timers);
    ros2d_queue_states_init(&thread->queues, thread, state->config->data.credits, QUEUES_MAX);
    sem_init(&thread->opened, 0, 0);
    *thread_p = thread;
    return 0;
}

void ros2d_thread_destroy(struct ros2d_thread *thread)
{
    ros2d_mailbox_run(&thread->mailbox, thread); /* what came after the loop's end */
    ros2d_queue_states_fini(&thread->queues);
    ros2d_mailbox_fini(&thread->mailbox);
    ros2i_timers_fini(&thread->timers);
    sem_destroy(&thread->opened);
    free(thread);
}

/* -- the loop -- */

/* One look at everything. Returns how much there was to do. */
static int turn(struct ros2d_thread *thread)
{
    int work;

    thread->now_ns = ros2i_now_ns();
    work = thread->transport->progress(thread->domain);
    work += thread->engine->poll(thread->io);
    if (ros2i_timers_next(&thread->timers) <= thread->now_ns)
        work += ros2i_timers_run(&thread->timers, thread->now_ns);
    work += ros2d_mailbox_run(&thread->mailbox, thread);
    work += ros2d_connections_reap(thread);
    work += ros2d_requests_resume(thread);
    return work;
}

static int timeout_ms(const struct ros2d_thread *thread)
{
    uint64_t next = ros2i_timers_next(&thread->timers);
    uint64_t now = ros2i_now_ns();

    if (thread->draining && thread->drain_deadline_ns < next)
        next = thread->drain_deadline_ns;
    if (next == UINT64_MAX)
        return -1;
    if (next <= now)
        return 0;
    next = (next - now + ROS2I_NS_PER_MS - 1) / ROS2I_NS_PER_MS;
    return next > 3600000 ? 3600000 : (int)next;
}

static void sleep_until_work(struct ros2d_thread *thread)
{
    struct pollfd fds[3];
    nfds_t count = 0;

    if (thread->transport->domain_arm(thread->domain) != 0)
        return;
    fds[count++] =
        (struct pollfd){.fd = thread->transport->domain_fd(thread->domain), .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = thread->engine->context_fd(thread->io), .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = thread->mailbox.event_fd, .events = POLLIN};
    poll(fds, count, timeout_ms(thread)); /* EINTR and errors: another turn */
}

static bool drained(struct ros2d_thread *thread)
{
    bool late = ros2i_now_ns() >= thread->drain_deadline_ns;

    ros2d_connections_drain(thread, late);
    ros2d_connections_reap(thread);
    /* What is in the engine cannot be taken back: it is waited for also when it is late. */
    return thread->connection_count == 0 && !thread->orphans;
}

static void *run(void *arg)
{
    struct ros2d_thread *thread = arg;
    uint64_t spin_ns = thread->config->data.spin_us * 1000ull;
    uint64_t idle_since_ns = ros2i_now_ns();

    thread->open_error = open_all(thread);
    if (thread->open_error < 0)
        snprintf(thread->open_text, sizeof(thread->open_text), "%s", ros2i_error());
    sem_post(&thread->opened);
    if (thread->open_error < 0)
        return NULL;

    while (!thread->draining || !drained(thread)) {
        if (turn(thread) > 0) {
            idle_since_ns = thread->now_ns;
        } else if (thread->now_ns - idle_since_ns >= spin_ns) {
            sleep_until_work(thread);
            idle_since_ns = ros2i_now_ns();
        }
    }
    ros2i_log(ROS2_LOG_INFO, "data",
              "thread %u ended requests %llu read_bytes %llu written_bytes %llu errors %llu "
              "channels %llu refused %llu",
              thread->index, (unsigned long long)thread->count.requests,
              (unsigned long long)thread->count.read_bytes,
              (unsigned long long)thread->count.written_bytes,
              (unsigned long long)thread->count.errors, (unsigned long long)thread->count.channels,
              (unsigned long long)thread->count.refused);
    close_all(thread);
    return NULL;
}

static int start(struct ros2d_thread *thread)
{
    sigset_t all, old;
    int rc;

    /* Signals are main's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&thread->id, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return ros2i_fail(rc, "data thread %u: %s", thread->index, ros2i_strerror(rc));
    while (sem_wait(&thread->opened) < 0)
        ; /* EINTR */
    if (thread->open_error == 0)
        return 0;
    pthread_join(thread->id, NULL);
    return ros2i_fail(-thread->open_error, "data thread %u: %s", thread->index, thread->open_text);
}

int ros2d_thread_start(struct ros2d_state *state, unsigned index, const char *address,
                       struct ros2d_thread **thread_p)
{
    struct ros2d_thread *thread = NULL;
    int rc = create(state, index, address, &thread);

    if (rc < 0)
        return rc;
    rc = start(thread);
    if (rc < 0) {
        ros2d_thread_destroy(thread);
        return rc;
    }
    *thread_p = thread;
    return 0;
}

const char *ros2d_thread_address(const struct ros2d_thread *thread)
{
    return thread->address;
}

/* -- mail -- */

struct stop_mail {
    struct ros2d_mail mail;
    uint64_t deadline_ns;
};

static void handle_stop(struct ros2d_thread *thread, struct ros2d_mail *mail)
{
    thread->draining = true;
    thread->drain_deadline_ns = ((struct stop_mail *)mail)->deadline_ns;
    if (thread->listener)
        thread->transport->listener_close(thread->listener);
    thread->listener = NULL;
    free(mail);
}

void ros2d_thread_stop(struct ros2d_thread *thread, uint64_t deadline_ns)
{
    struct stop_mail *stop = malloc(sizeof(*stop));

    while (
        !stop) { /* at the very end, with megabytes of buffers still to be freed: it comes back */
        sched_yield();
        stop = malloc(sizeof(*stop));
    }
    stop->mail.handle = handle_stop;
    stop->deadline_ns = deadline_ns;
    ros2d_mailbox_post(&thread->mailbox, &stop->mail);
}

void ros2d_thread_join(struct ros2d_thread *thread)
{
    pthread_join(thread->id, NULL);
}

struct session_mail {
    struct ros2d_mail mail;
    struct ros2d_session *session; /* referenced */
};

static void handle_session_closed(struct ros2d_thread *thread, struct ros2d_mail *mail)
{
    struct session_mail *closed = (struct session_mail *)mail;

    ros2d_connections_close_session(thread, closed->session);
    ros2d_session_put(closed->session);
    free(closed);
}

void ros2d_thread_session_closed(struct ros2d_thread *thread, struct ros2d_session *session)
{
    struct session_mail *closed = malloc(sizeof(*closed));

    if (!closed)
        return; /* its channels refuse every request all the same: session->closed is set */
    atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    closed->mail.handle = handle_session_closed;
    closed->session = session;
    ros2d_mailbox_post(&thread->mailbox, &closed->mail);
}
