/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's life in this process. One lock guards all; gRPC itself is started, stopped and called into without it, since
 * it may log, and a log sink must not run under a lock of ours. `busy` stands for such a step: whoever sets it is the only
 * one to change whether gRPC is up. What always holds: channels and queues exist only while up; up changes only while
 * users is 0; the helper thread runs only while up (and is joined before the next start, a fork or the end). */
#include "config.h"

#include "lib/control/runtime.h"

#include <errno.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/control/control.h"
#include "lib/control/leftover.h"

#define IDLE_NS    (5 * ROS2I_NS_PER_S)
#define END_MAX_NS ROS2I_NS_PER_S
/* An attempt to connect ends within credentials.c's MIN_RECONNECT_BACKOFF, and gRPC with it. */
#define FORK_MAX_NS (6 * ROS2I_NS_PER_S)
#define QUEUES_KEPT \
    16 /* completion queues kept for the next call; more at once are made and dropped */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* busy, forking, users */
    pthread_cond_t helper_wake;
    bool up;
    bool renew; /* this is a forked child, and its parent had gRPC up before */
    bool ever_up;
    bool ending;  /* it was shut down, and no fork has waited for its last threads since */
    bool lingers; /* it was shut down, but pieces of it outlived the wait for its end */
    bool broken;  /* this is a forked child, and gRPC was still up when it was forked */
    bool shared;  /* gRPC was up before us: somebody else in the process uses this copy of it */
    bool busy;    /* a thread starts or stops gRPC */
    bool forking; /* from prepare to the parent's or child's handler */
    unsigned users;
    struct ros2i_grpc_use *uses;
    struct ros2i_grpc_client *clients;
    grpc_completion_queue *queue[QUEUES_KEPT];
    unsigned queue_count;
    uint64_t idle_ns;
    uint64_t last_use_ns;
    bool helper_started; /* there is a thread to join */
    pthread_t helper;
    uint64_t tls_text_ns;
    char tls_text[256];
} runtime = {.lock = PTHREAD_MUTEX_INITIALIZER, .idle_ns = IDLE_NS};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Deadlines are monotonic; the static initialiser of a condition has the wall clock. */
static void init_conditions(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&runtime.changed, &attr);
    pthread_cond_init(&runtime.helper_wake, &attr);
    pthread_condattr_destroy(&attr);
}

void ros2i_runtime_lock(void)
{
    pthread_once(&once, init_conditions);
    pthread_mutex_lock(&runtime.lock);
}

void ros2i_runtime_unlock(void)
{
    pthread_mutex_unlock(&runtime.lock);
}

/* The deadline is by our clock, which a test may have injected: only the distance is handed to the system's. */
static int wait_until(pthread_cond_t *cond, uint64_t deadline_ns)
{
    struct timespec until;
    uint64_t now_ns = ros2i_now_ns();

    if (now_ns >= deadline_ns)
        return -ETIMEDOUT;
    uint64_t left_ns = deadline_ns - now_ns;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t at_ns = (uint64_t)until.tv_sec * ROS2I_NS_PER_S + (uint64_t)until.tv_nsec;
    at_ns = left_ns > 86400 * ROS2I_NS_PER_S ? at_ns + 86400 * ROS2I_NS_PER_S : at_ns + left_ns;
    until.tv_sec = (time_t)(at_ns / ROS2I_NS_PER_S);
    until.tv_nsec = (long)(at_ns % ROS2I_NS_PER_S);
    pthread_cond_timedwait(cond, &runtime.lock, &until);
    return 0;
}

/* --- gRPC's log ------------------------------------------------------------------------------------------ */

/* gRPC prints to stderr unless told otherwise. The function is process-wide: it is ours only while gRPC is up for us, and
 * then given back to gRPC's default. A program that uses the same copy of gRPC and sets its own loses it. */
static void log_line(gpr_log_func_args *args)
{
    enum ros2_log_level level =
        args->severity == GPR_LOG_SEVERITY_ERROR ? ROS2_LOG_WARN : ROS2_LOG_DEBUG;

    if (strstr(args->file, "ssl_transport_security") || strstr(args->file, "security_handshaker")) {
        ros2i_runtime_lock();
        snprintf(runtime.tls_text, sizeof runtime.tls_text, "%s", args->message);
        runtime.tls_text_ns = ros2i_now_ns();
        ros2i_runtime_unlock();
    }
    ros2i_log(level, "control/grpc", "%s", args->message);
}

bool ros2i_runtime_tls_text(uint64_t since_ns, char *text, size_t len)
{
    bool fresh;

    ros2i_runtime_lock();
    fresh = runtime.tls_text[0] && runtime.tls_text_ns >= since_ns;
    if (fresh)
        snprintf(text, len, "%s", runtime.tls_text);
    ros2i_runtime_unlock();
    return fresh;
}

/* --- start and stop; called locked, unlocks in between, busy is set by the caller --------------------------- */

/* Threads that gRPC starts take over the signal mask: the application's signals are not for them. */
static void block_signals(sigset_t *old)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, old);
}

static void *helper_main(void *arg);

static void join_helper(void)
{
    if (!runtime.helper_started)
        return;
    pthread_t helper = runtime.helper;
    pthread_cond_signal(&runtime.helper_wake);
    ros2i_runtime_unlock();
    pthread_join(helper, NULL);
    ros2i_runtime_lock();
    runtime.helper_started = false;
}

static void start(void)
{
    sigset_t mask;

    join_helper(); /* of the life before; it has ended or is about to */
    ros2i_runtime_unlock();
    if (runtime.renew)
        ros2i_leftover_renew();
    runtime.renew = false; /* busy guards it here */
    block_signals(&mask);
    gpr_set_log_function(log_line);
    bool shared = grpc_is_initialized() && !runtime.lingers;
    grpc_init();
    ros2i_runtime_lock();
    runtime.shared = shared;
    runtime.up = runtime.ever_up = true;
    runtime.last_use_ns = ros2i_now_ns();
    /* Without a helper gRPC stays up until the last control goes, which costs its threads only. */
    runtime.helper_started = pthread_create(&runtime.helper, NULL, helper_main, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void destroy_queue(grpc_completion_queue *queue)
{
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
}

/* gRPC tells a destroyed channel's connecting from a completion queue's thread, and none is left by then: the channel would
 * last until the attempt's time is over (seconds). So an attempt is first driven to its end, if that comes soon. */
static void settle(grpc_channel *channel)
{
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(END_MAX_NS, GPR_TIMESPAN));
    grpc_completion_queue *queue = NULL;

    while (grpc_channel_check_connectivity_state(channel, 0) == GRPC_CHANNEL_CONNECTING &&
           gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), deadline) < 0) {
        if (!queue)
            queue = grpc_completion_queue_create_for_pluck(NULL);
        grpc_channel_watch_connectivity_state(channel, GRPC_CHANNEL_CONNECTING, deadline, queue,
                                              channel);
        grpc_completion_queue_pluck(queue, channel, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    }
    if (queue)
        destroy_queue(queue);
}

static void destroy_channel(grpc_channel *channel)
{
    settle(channel);
    grpc_channel_destroy(channel);
}

/* A channel counts as a user of gRPC until its last piece is gone, which gRPC's own threads see to; the last of them then
 * shuts gRPC down in a thread of its own. A fork before that end leaves the child a locked gRPC. A program that uses the
 * same copy of gRPC keeps it up for good: then there is nothing to wait for, and forks are that program's to arrange. */
static void wait_for_grpcs_end(uint64_t max_ns)
{
    struct timespec pause = {.tv_nsec = 200000};

    for (uint64_t waited_ns = 0; grpc_is_initialized() && waited_ns < max_ns; waited_ns += 200000)
        nanosleep(&pause, NULL);
    runtime.lingers = grpc_is_initialized(); /* busy, or the fork, guards it here */
}

/* No users. The list of clients cannot change while busy is set. */
static void stop(void)
{
    runtime.up = false;
    runtime.ending = true;
    ros2i_runtime_unlock();
    for (struct ros2i_grpc_client *client = runtime.clients; client; client = client->next) {
        if (client->channel)
            destroy_channel(client->channel);
        client->channel = NULL;
    }
    while (runtime.queue_count > 0)
        destroy_queue(runtime.queue[--runtime.queue_count]);
    grpc_shutdown_blocking();
    if (!runtime.shared)
        wait_for_grpcs_end(END_MAX_NS);
    gpr_set_log_function(NULL);
    ros2i_runtime_lock();
}

static void wait_not_busy(void)
{
    while (runtime.busy || runtime.forking)
        pthread_cond_wait(&runtime.changed, &runtime.lock);
}

static void end_busy(void)
{
    runtime.busy = false;
    pthread_cond_broadcast(&runtime.changed);
}

/* Shuts gRPC down when it was idle for long enough, then ends. Calls do not wake it: it looks again when the last known
 * use is old enough. */
static void *helper_main(void *arg)
{
    (void)arg;
    ros2i_runtime_lock();
    while (runtime.up && !runtime.forking) {
        uint64_t due_ns = runtime.last_use_ns + runtime.idle_ns;

        if (!runtime.busy && runtime.users == 0 && ros2i_now_ns() >= due_ns) {
            runtime.busy = true;
            stop();
            end_busy();
            break;
        }
        if (runtime.users > 0 || runtime.busy)
            due_ns = ros2i_now_ns() + runtime.idle_ns;
        wait_until(&runtime.helper_wake, due_ns);
    }
    ros2i_runtime_unlock();
    return NULL;
}

/* --- clients and calls ----------------------------------------------------------------------------------- */

void ros2i_runtime_add(struct ros2i_grpc_client *client)
{
    ros2i_runtime_lock();
    wait_not_busy();
    client->channel = NULL;
    client->next = runtime.clients;
    runtime.clients = client;
    ros2i_runtime_unlock();
}

void ros2i_runtime_remove(struct ros2i_grpc_client *client)
{
    struct ros2i_grpc_client **link = &runtime.clients;

    ros2i_runtime_lock();
    wait_not_busy();
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    runtime.busy = true;
    grpc_channel *channel = client->channel;
    client->channel = NULL;
    bool last = !runtime.clients;
    if (channel) {
        ros2i_runtime_unlock();
        destroy_channel(channel);
        ros2i_runtime_lock();
    }
    if (last && runtime.up)
        stop();
    if (last)
        join_helper();
    end_busy();
    ros2i_runtime_unlock();
}

/* Counts the caller in, with gRPC up. Locked. */
static int count_in(uint64_t deadline_ns)
{
    while (runtime.busy || runtime.forking || !runtime.up) {
        if (runtime.broken)
            return ros2i_fail(
                ENOTRECOVERABLE,
                "the parent was connecting to its daemon when this process was "
                "forked, and gRPC could not be stopped for that: fork again, or exec");
        if (!runtime.busy && !runtime.forking) {
            runtime.busy = true;
            start();
            end_busy();
        } else if (wait_until(&runtime.changed, deadline_ns) < 0) {
            return ros2i_fail(ETIMEDOUT, "gRPC was being started or stopped until the deadline");
        }
    }
    runtime.users++;
    return 0;
}

/* Counted in, so gRPC stays up. Locked; unlocks to make the channel: of two that make one, one is dropped. */
static grpc_channel *get_channel(struct ros2i_grpc_client *client)
{
    if (client->channel)
        return client->channel;
    ros2i_runtime_unlock();
    sigset_t mask;
    block_signals(&mask);
    grpc_channel *channel = client->make_channel(client), *dropped = NULL;
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    ros2i_runtime_lock();
    if (client->channel)
        dropped = channel;
    else
        client->channel = channel;
    if (dropped) {
        ros2i_runtime_unlock();
        grpc_channel_destroy(dropped);
        ros2i_runtime_lock();
    }
    return client->channel;
}

int ros2i_runtime_enter(struct ros2i_grpc_client *client, uint64_t deadline_ns,
                        struct ros2i_grpc_use *use)
{
    ros2i_runtime_lock();
    int rc = count_in(deadline_ns);
    if (rc < 0) {
        ros2i_runtime_unlock();
        return rc;
    }
    *use = (struct ros2i_grpc_use){.channel = get_channel(client)};
    if (runtime.queue_count > 0)
        use->queue = runtime.queue[--runtime.queue_count];
    use->next = runtime.uses;
    runtime.uses = use;
    ros2i_runtime_unlock();
    if (!use->queue)
        use->queue = grpc_completion_queue_create_for_pluck(NULL);
    return 0;
}

bool ros2i_runtime_publish(struct ros2i_grpc_use *use, grpc_call *call)
{
    ros2i_runtime_lock();
    if (runtime.forking)
        use->interrupted = true;
    else
        use->call = call;
    bool start_it = !use->interrupted;
    ros2i_runtime_unlock();
    return start_it;
}

void ros2i_runtime_withdraw(struct ros2i_grpc_use *use)
{
    ros2i_runtime_lock();
    use->call = NULL;
    ros2i_runtime_unlock();
}

bool ros2i_runtime_leave(struct ros2i_grpc_use *use)
{
    struct ros2i_grpc_use **link = &runtime.uses;
    grpc_completion_queue *dropped = NULL;

    ros2i_runtime_lock();
    while (*link != use)
        link = &(*link)->next;
    *link = use->next;
    if (runtime.queue_count < QUEUES_KEPT) {
        runtime.queue[runtime.queue_count++] = use->queue;
    } else { /* still counted in, so that gRPC is up */
        dropped = use->queue;
        ros2i_runtime_unlock();
        destroy_queue(dropped);
        ros2i_runtime_lock();
    }
    runtime.last_use_ns = ros2i_now_ns();
    if (--runtime.users == 0 && runtime.forking)
        pthread_cond_broadcast(&runtime.changed);
    bool interrupted = use->interrupted;
    ros2i_runtime_unlock();
    return interrupted;
}

/* --- fork() ---------------------------------------------------------------------------------------------- */

/* Ends all running calls. Locked; unlocks around each cancel, for gRPC may log. One that was marked is not visited again. */
static void interrupt_all(void)
{
    for (;;) {
        struct ros2i_grpc_use *use = runtime.uses;

        while (use && (use->interrupted || !use->call))
            use = use->next;
        if (!use)
            return;
        use->interrupted = true;
        grpc_call *call = use->call;
        grpc_call_ref(call); /* an atomic count: not a call that logs */
        ros2i_runtime_unlock();
        grpc_call_cancel(call, NULL);
        grpc_call_unref(call);
        ros2i_runtime_lock();
    }
}

/* Returns with the lock held, so that the child finds all of this whole. */
void ros2i_control_fork_prepare(void)
{
    ros2i_runtime_lock();
    wait_not_busy(); /* another thread's fork too */
    runtime.forking = true;
    interrupt_all();
    while (runtime.users > 0)
        pthread_cond_wait(&runtime.changed, &runtime.lock);
    if (runtime.up)
        stop();
    join_helper();
    if (runtime.lingers)
        wait_for_grpcs_end(FORK_MAX_NS);
    if (runtime.ending && !runtime.shared)
        ros2i_leftover_wait(END_MAX_NS);
    runtime.ending = false;
}

void ros2i_control_fork_parent(void)
{
    runtime.forking = false;
    pthread_cond_broadcast(&runtime.changed);
    ros2i_runtime_unlock();
}

void ros2i_control_fork_child(void)
{
    runtime.forking = false;
    runtime.renew = runtime.ever_up;
    runtime.broken = runtime.broken || runtime.lingers;
    init_conditions(); /* the parent's waiting threads are counted in them, and are not here */
    for (struct ros2i_grpc_client *client = runtime.clients; client; client = client->next)
        client->forked(client);
    ros2i_runtime_unlock();
}

/* --- tests ----------------------------------------------------------------------------------------------- */

void ros2i_runtime_set_idle_ns(uint64_t idle_ns)
{
    ros2i_runtime_lock();
    runtime.idle_ns = idle_ns;
    pthread_cond_signal(&runtime.helper_wake);
    ros2i_runtime_unlock();
}

bool ros2i_runtime_is_up(void)
{
    ros2i_runtime_lock();
    bool up = runtime.up;
    ros2i_runtime_unlock();
    return up;
}
