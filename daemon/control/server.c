/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC server: control threads take events from one completion queue, so that a thread which blocks in the engine holds
 * up nobody but its own call. Each method has a few calls posted; one that is taken is posted anew at once.
 *
 * The end, in this order: health says so and watches end; gRPC refuses new calls; running ones end or, at the deadline, are
 * cancelled; gRPC tells that no client is left, which it does also while a thread is still in the engine for one that went,
 * so calls are counted, too; then the server, the queue (drained by the threads) and gRPC itself go. */
#include "config.h"

#include "daemon/control/server.h"

#include <errno.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/control/listen.h"
#include "daemon/control/service.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

#define POSTS_PER_METHOD  8
#define WATCHERS_MAX      256u
#define ANSWERS_MAX       65536u
#define ANSWERS_BYTES_MAX (32u << 20)
#define TICK_NS           ROS2I_NS_PER_S
/* What all connections together may make gRPC hold, from before anybody has said who they are. */
#define MEMORY_MAX         (64u << 20)
#define STREAMS_MAX        128
#define CONNECTION_IDLE_MS 300000

/* gRPC prints to stderr unless told otherwise. Process-wide, which in ros2d is ours. */
static void log_line(gpr_log_func_args *args)
{
    ros2i_log(args->severity == GPR_LOG_SEVERITY_ERROR ? ROS2_LOG_WARN : ROS2_LOG_DEBUG,
              "control/grpc", "%s", args->message);
}

/* --- watchers -------------------------------------------------------------------------------------------- */

bool ros2d_server_add_watcher(struct ros2d_server *server, struct ros2d_call *call)
{
    pthread_mutex_lock(&server->lock);
    bool taken = !call->closed && server->watcher_count < WATCHERS_MAX &&
                 !atomic_load_explicit(&server->stopping, memory_order_relaxed);
    if (taken) {
        call->next_watcher = server->watchers;
        server->watchers = call;
        server->watcher_count++;
    }
    pthread_mutex_unlock(&server->lock);
    return taken;
}

bool ros2d_server_close_watcher(struct ros2d_server *server, struct ros2d_call *call)
{
    bool found = false;

    pthread_mutex_lock(&server->lock);
    call->closed = true;
    for (struct ros2d_call **link = &server->watchers; *link && !found;
         link = &(*link)->next_watcher) {
        found = *link == call;
        if (found) {
            *link = call->next_watcher;
            server->watcher_count--;
            break;
        }
    }
    pthread_mutex_unlock(&server->lock);
    return found;
}

/* --- calls ----------------------------------------------------------------------------------------------- */

void ros2d_server_call_made(struct ros2d_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->calls++;
    pthread_mutex_unlock(&server->lock);
}

void ros2d_server_call_gone(struct ros2d_server *server)
{
    pthread_mutex_lock(&server->lock);
    if (--server->calls == 0)
        pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* --- waits ----------------------------------------------------------------------------------------------- */

/* Threads that are busy for a moment only are counted too: a client that is sent away needlessly is back in a moment. */
int ros2d_server_may_wait(struct ros2d_server *server)
{
    unsigned threads = server->state->config->control.threads;

    if (atomic_load_explicit(&server->stopping, memory_order_relaxed))
        return ros2i_fail(EAGAIN, "ros2d is ending; call again");
    if (atomic_load_explicit(&server->busy, memory_order_relaxed) >= threads)
        return ros2i_fail(EAGAIN,
                          "the call would have to wait on the last of %u control threads; call "
                          "again, or raise control.threads",
                          threads);
    return 0;
}

/* --- threads --------------------------------------------------------------------------------------------- */

/* Once a second, by whoever is there first. */
static void tick(struct ros2d_server *server)
{
    uint64_t now_ns = ros2i_now_ns();
    uint64_t due_ns = atomic_load_explicit(&server->next_tick_ns, memory_order_relaxed);

    if (now_ns < due_ns ||
        !atomic_compare_exchange_strong_explicit(&server->next_tick_ns, &due_ns, now_ns + TICK_NS,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    ros2d_sessions_expire(server->state->sessions, now_ns);
    ros2d_handles_reap(server->state->handles);
}

/* All threads wake up once a second: any of them may be the one that is free for the housekeeping. */
static void *control_main(void *arg)
{
    struct ros2d_server *server = arg;

    for (;;) {
        gpr_timespec until =
            gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(1, GPR_TIMESPAN));
        grpc_event event = grpc_completion_queue_next(server->queue, until, NULL);

        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type == GRPC_OP_COMPLETE) {
            struct ros2d_tag *tag = event.tag;

            (void)atomic_load_explicit(&tag->handed_over, memory_order_acquire);
            atomic_fetch_add_explicit(&server->busy, 1, memory_order_relaxed);
            tag->event(tag, event.success != 0);
            atomic_fetch_sub_explicit(&server->busy, 1, memory_order_relaxed);
        }
        tick(server);
    }
}

static void on_shutdown(struct ros2d_tag *tag, bool ok)
{
    struct ros2d_server *server =
        (struct ros2d_server *)((char *)tag - offsetof(struct ros2d_server, shutdown));

    (void)ok;
    pthread_mutex_lock(&server->lock);
    server->shut_down = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* --- start ----------------------------------------------------------------------------------------------- */

static grpc_server *make_server(void)
{
    grpc_arg arg[] = {
        {.key = (char *)(uintptr_t)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, .value.integer = 4 << 20},
        {.key = (char *)(uintptr_t)GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, .value.integer = 16 << 20},
        {.key = (char *)(uintptr_t)GRPC_ARG_MAX_METADATA_SIZE, .value.integer = 16 << 10},
        {.key = (char *)(uintptr_t)GRPC_ARG_MAX_CONCURRENT_STREAMS, .value.integer = STREAMS_MAX},
        {.key = (char *)(uintptr_t)GRPC_ARG_MAX_CONNECTION_IDLE_MS,
         .value.integer = CONNECTION_IDLE_MS},
        {.key = (char *)(uintptr_t)GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, .value.integer = 10000},
        /* Two ros2d on one port would share its calls: let the second one fail. */
        {.key = (char *)(uintptr_t)GRPC_ARG_ALLOW_REUSEPORT, .value.integer = 0},
        /* Clients ping every 10 s while they have calls; whoever pings more than twice as often is cut off. */
        {.key = (char *)(uintptr_t)GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
         .value.integer = 5000},
        {.key = (char *)(uintptr_t)GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, .value.integer = 1},
        {.key = (char *)(uintptr_t)GRPC_ARG_KEEPALIVE_TIME_MS, .value.integer = 60000},
        {.key = (char *)(uintptr_t)GRPC_ARG_KEEPALIVE_TIMEOUT_MS, .value.integer = 20000},
        {.key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA}, /* the last one: a pointer */
    };
    grpc_channel_args args = {.num_args = sizeof arg / sizeof *arg, .args = arg};
    grpc_arg *last = &arg[args.num_args - 1];
    grpc_resource_quota *quota = grpc_resource_quota_create("ros2d");

    for (size_t i = 0; i < args.num_args; i++)
        arg[i].type = GRPC_ARG_INTEGER;
    grpc_resource_quota_resize(quota, MEMORY_MAX);
    last->type = GRPC_ARG_POINTER;
    last->value.pointer.p = quota;
    last->value.pointer.vtable = grpc_resource_quota_arg_vtable();
    grpc_server *server = grpc_server_create(&args, NULL);
    grpc_resource_quota_unref(quota); /* the server has one of its own */
    return server;
}

static int register_methods(struct ros2d_server *server)
{
    const struct ros2d_method *const table[] = {ros2d_session_methods, ros2d_namespace_methods,
                                                ros2d_memory_methods, ros2d_health_methods};

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (const struct ros2d_method *method = table[i]; method->handle; method++) {
            unsigned n = server->method_count++;

            server->method[n] = method;
            if (!method->path)
                continue;
            server->registered[n] = grpc_server_register_method(
                server->grpc, method->path, NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
            if (!server->registered[n])
                return ros2i_fail(EINVAL, "gRPC refuses method %s", method->path);
        }
    }
    return 0;
}

static int post_calls(struct ros2d_server *server)
{
    for (unsigned n = 0; n < server->method_count; n++) {
        for (unsigned i = 0; i < POSTS_PER_METHOD; i++) {
            int rc = ros2d_call_post(server, n);

            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int start_threads(struct ros2d_server *server)
{
    unsigned count = server->state->config->control.threads;

    server->thread = calloc(count ? count : 1, sizeof *server->thread);
    if (!server->thread)
        return ros2i_fail(ENOMEM, "no memory for control threads");
    do {
        int err = pthread_create(&server->thread[server->thread_count], NULL, control_main, server);

        if (err)
            return ros2i_fail(err, "control thread: %s", ros2i_strerror(err));
        server->thread_count++;
    } while (server->thread_count < count);
    return 0;
}

static int listen_and_serve(struct ros2d_server *server)
{
    grpc_server_credentials *credentials;
    int rc = ros2d_listen_credentials(server->state->config, &credentials);

    if (rc < 0)
        return rc;
    rc = ros2d_listen_bind(server->state->config, server->grpc, credentials, server->address,
                           sizeof server->address);
    grpc_server_credentials_release(credentials);
    if (rc < 0)
        return rc;
    grpc_server_start(server->grpc);
    rc = post_calls(server);
    return rc < 0 ? rc : start_threads(server);
}

static void init_lock(struct ros2d_server *server)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attr);
    pthread_condattr_destroy(&attr);
}

static int start(struct ros2d_server *server)
{
    int rc = ros2d_replay_create(ANSWERS_MAX, ANSWERS_BYTES_MAX, &server->replay);

    if (rc < 0)
        return rc;
    server->queue = grpc_completion_queue_create_for_next(NULL);
    server->grpc = make_server();
    grpc_server_register_completion_queue(server->grpc, server->queue, NULL);
    rc = register_methods(server);
    return rc < 0 ? rc : listen_and_serve(server);
}

int ros2d_server_start(struct ros2d_state *state, struct ros2d_server **server_p)
{
    struct ros2d_server *server = calloc(1, sizeof *server);
    sigset_t all, mask;

    if (!server)
        return ros2i_fail(ENOMEM, "no memory for the control plane");
    server->state = state;
    server->shutdown.event = on_shutdown;
    atomic_init(&server->next_tick_ns, ros2i_now_ns() + TICK_NS);
    init_lock(server);
    /* All threads below inherit the mask: signals are for the thread that main keeps for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    gpr_set_log_function(log_line);
    grpc_init();
    int rc = start(server);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (rc < 0) {
        ros2d_server_stop(server, 0);
        return rc;
    }
    ros2i_log(ROS2_LOG_INFO, "control", "listening: address %s tls %d threads %u", server->address,
              !state->config->control.plaintext, server->thread_count);
    *server_p = server;
    return 0;
}

const char *ros2d_server_address(const struct ros2d_server *server)
{
    return server->address;
}

/* --- stop ------------------------------------------------------------------------------------------------ */

/* Whether no client and no call is left, by the deadline. */
static bool wait_shut_down(struct ros2d_server *server, uint64_t deadline_ns)
{
    pthread_mutex_lock(&server->lock);
    while (!server->shut_down || server->calls > 0) {
        struct timespec until;
        uint64_t now_ns = ros2i_now_ns();

        if (now_ns >= deadline_ns)
            break;
        clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t left_ns = deadline_ns - now_ns < 86400 * ROS2I_NS_PER_S ? deadline_ns - now_ns
                                                                         : 86400 * ROS2I_NS_PER_S;
        uint64_t at_ns =
            (uint64_t)until.tv_sec * ROS2I_NS_PER_S + (uint64_t)until.tv_nsec + left_ns;
        until.tv_sec = (time_t)(at_ns / ROS2I_NS_PER_S);
        until.tv_nsec = (long)(at_ns % ROS2I_NS_PER_S);
        pthread_cond_timedwait(&server->changed, &server->lock, &until);
    }
    bool done = server->shut_down && server->calls == 0;
    pthread_mutex_unlock(&server->lock);
    return done;
}

static void end_calls(struct ros2d_server *server, uint64_t deadline_ns)
{
    ros2d_health_stop(server);
    ros2d_replay_stop(server->replay);
    ros2d_regions_stop_waits(server->state->regions);
    grpc_server_shutdown_and_notify(server->grpc, server->queue, &server->shutdown);
    if (wait_shut_down(server, deadline_ns))
        return;
    grpc_server_cancel_all_calls(server->grpc);
    wait_shut_down(server,
                   ROS2I_FOREVER); /* what still runs is an engine's call, which has to end */
}

/* Nobody else takes events: a start that failed has no threads, or they run already. */
static void drain_queue(struct ros2d_server *server)
{
    grpc_completion_queue_shutdown(server->queue);
    if (server->thread_count == 0)
        control_main(server);
    for (unsigned i = 0; i < server->thread_count; i++)
        pthread_join(server->thread[i], NULL);
    grpc_completion_queue_destroy(server->queue);
}

void ros2d_server_stop(struct ros2d_server *server, uint64_t deadline_ns)
{
    atomic_store_explicit(&server->stopping, true, memory_order_relaxed);
    if (server->grpc) {
        if (server->thread_count > 0) {
            end_calls(server, deadline_ns);
        } else {
            grpc_server_shutdown_and_notify(server->grpc, server->queue, &server->shutdown);
            grpc_server_cancel_all_calls(server->grpc);
        }
        grpc_server_destroy(server->grpc);
    }
    if (server->queue)
        drain_queue(server);
    grpc_shutdown_blocking();
    gpr_set_log_function(NULL);
    ros2d_replay_destroy(server->replay);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server->thread);
    free(server);
}
