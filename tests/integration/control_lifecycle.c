/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC comes and goes: with the first call, when idle, with the last control, and around fork(). */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/control/runtime.h"
#include "tests/integration/control_world.h"

static struct daemon ros2d;

static void *do_nothing(void *arg)
{
    return arg;
}

static int start(void **state)
{
    pthread_t first;

    (void)state;
    /* The thread sanitizer starts a thread of its own with the first one: before threads are counted. */
    if (pthread_create(&first, NULL, do_nothing, NULL) != 0 || pthread_join(first, NULL) != 0)
        return -1;
    pthread_atfork(ros2i_control_fork_prepare, ros2i_control_fork_parent, ros2i_control_fork_child);
    return daemon_prepare(&ros2d) < 0 ? -1 : daemon_start(&ros2d);
}

static int stop(void **state)
{
    (void)state;
    int status = daemon_stop(&ros2d);
    daemon_free(&ros2d);
    return status;
}

static int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static int is_down(void *arg)
{
    (void)arg;
    return !ros2i_runtime_is_up();
}

static int has_threads(void *arg)
{
    return count_threads() == *(int *)arg;
}

static int stat_root(struct ros2i_control *control)
{
    struct ros2_attr attr;

    return ros2i_control_stat(control, "/", false, world_deadline(), &attr);
}

/* --- idle ------------------------------------------------------------------------------------------------ */

static void no_thread_is_left_after_the_last_control(void **state)
{
    int before = count_threads();
    struct ros2i_control *control = world_connect(&ros2d);

    (void)state;
    assert_true(count_threads() > before);
    ros2i_control_destroy(control);
    assert_true(is_down(NULL));
    /* A joined thread may still be listed for a moment. */
    world_wait(has_threads, &before);
}

static void create_alone_starts_nothing(void **state)
{
    struct ros2i_control_options options = world_options(&ros2d);
    struct ros2i_control *control;
    int before = count_threads();

    (void)state;
    world_assert_ok(ros2i_control_create(&options, &control));
    assert_int_equal(count_threads(), before);
    assert_true(is_down(NULL));
    ros2i_control_destroy(control);
}

static void idle_grpc_is_shut_down_and_the_next_call_works(void **state)
{
    int before = count_threads();
    struct ros2i_control *control = world_connect(&ros2d);

    (void)state;
    assert_false(is_down(NULL));
    ros2i_runtime_set_idle_ns(20 * ROS2I_NS_PER_MS);
    for (int i = 0; i < 5; i++) {
        world_wait(is_down, NULL);
        world_wait(has_threads, &before);
        world_assert_ok(stat_root(control));
    }
    ros2i_runtime_set_idle_ns(5 * ROS2I_NS_PER_S);
    ros2i_control_destroy(control);
}

struct caller {
    pthread_t thread;
    struct ros2i_control *control;
    _Atomic bool stop;
    _Atomic int calls, failures;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    char path[64];

    for (int i = 0; !atomic_load(&caller->stop); i++) {
        snprintf(path, sizeof path, "/%p-%d", arg, i);
        int rc = ros2i_control_mkdir(caller->control, path, 0755, world_deadline());

        if (rc == 0)
            rc = ros2i_control_unlink(caller->control, path, true, world_deadline());
        if (rc != 0) {
            fprintf(stderr, "call failed: %d %s\n", rc, ros2i_error());
            atomic_fetch_add(&caller->failures, 1);
        }
        atomic_fetch_add(&caller->calls, 1);
    }
    return NULL;
}

static void start_callers(struct caller *caller, int count, struct ros2i_control *control)
{
    for (int i = 0; i < count; i++) {
        caller[i] = (struct caller){.control = control};
        assert_int_equal(pthread_create(&caller[i].thread, NULL, call_on, &caller[i]), 0);
    }
}

static void end_callers(struct caller *caller, int count)
{
    for (int i = 0; i < count; i++)
        atomic_store(&caller[i].stop, true);
    for (int i = 0; i < count; i++) {
        pthread_join(caller[i].thread, NULL);
        assert_true(caller[i].calls > 0);
        assert_int_equal(caller[i].failures, 0);
    }
}

/* An idle time about as long as a call: shutdown and start race with calls all the time. */
static void calls_race_with_the_idle_shutdown(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d), *other = world_connect(&ros2d);
    struct caller caller[3];

    (void)state;
    ros2i_runtime_set_idle_ns(100000);
    start_callers(caller, 3, control);
    for (int i = 0; i < 30; i++) {
        world_assert_ok(stat_root(other));
        poll(NULL, 0, 3);
    }
    end_callers(caller, 3);
    ros2i_runtime_set_idle_ns(5 * ROS2I_NS_PER_S);
    ros2i_control_destroy(other);
    ros2i_control_destroy(control);
}

static void two_controls_come_and_go(void **state)
{
    struct ros2i_control *a = world_connect(&ros2d), *b = world_connect(&ros2d);

    (void)state;
    ros2i_control_destroy(a);
    world_assert_ok(stat_root(b));
    a = world_connect(&ros2d);
    ros2i_control_destroy(b);
    world_assert_ok(stat_root(a));
    ros2i_control_destroy(a);
}

/* --- fork ------------------------------------------------------------------------------------------------ */

static int stat_in_child(struct ros2i_control *control)
{
    if (stat_root(control) == 0)
        return 0;
    fprintf(stderr, "in the child: %s\n", ros2i_error());
    return 1;
}

static int call_in_child(struct ros2i_control *control, const char *name)
{
    if (ros2i_control_attach(control, world_nonce, world_deadline()) < 0 ||
        stat_root(control) < 0 || ros2i_control_mkdir(control, name, 0755, world_deadline()) < 0) {
        fprintf(stderr, "in the child: %s\n", ros2i_error());
        return 1;
    }
    return 0;
}

static int wait_child(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        fprintf(stderr, "a child died of signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static pid_t fork_child(void)
{
    fflush(NULL);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        alarm(60); /* a call that hangs fails the test */
    return pid;
}

static void parent_child_and_grandchild_call(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);

    (void)state;
    world_assert_ok(stat_root(control));
    pid_t child = fork_child();
    if (child == 0) {
        int failed = call_in_child(control, "/child");
        pid_t grandchild = fork_child();

        if (grandchild == 0)
            _exit(call_in_child(control, "/grandchild"));
        failed |= wait_child(grandchild) | call_in_child(control, "/child again");
        ros2i_control_destroy(control);
        _exit(failed);
    }
    world_assert_ok(stat_root(control));
    assert_int_equal(wait_child(child), 0);
    world_assert_ok(stat_root(control));
    struct ros2_attr attr;
    world_assert_ok(ros2i_control_stat(control, "/grandchild", false, world_deadline(), &attr));
    ros2i_control_destroy(control);
}

static void fork_before_the_first_call_works(void **state)
{
    struct ros2i_control_options options = world_options(&ros2d);
    struct ros2i_control *control;

    (void)state;
    world_assert_ok(ros2i_control_create(&options, &control));
    pid_t child = fork_child();
    if (child == 0)
        _exit(ros2i_control_health(control, world_deadline()) != 0);
    assert_int_equal(wait_child(child), 0);
    world_assert_ok(ros2i_control_health(control, world_deadline()));
    ros2i_control_destroy(control);
}

/* Each mkdir takes effect once although forks break calls: a repeated one without its request id would fail (EEXIST). */
static void calls_in_flight_survive_forks(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);
    struct caller caller[4];

    (void)state;
    start_callers(caller, 4, control);
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "/forked-%d", i);
        pid_t child = fork_child();

        if (child == 0)
            _exit(call_in_child(control, name));
        assert_int_equal(wait_child(child), 0);
    }
    end_callers(caller, 4);
    ros2i_control_destroy(control);
}

static void *fork_on(void *arg)
{
    struct caller *caller = arg;

    for (int i = 0; i < 10; i++) {
        pid_t child = fork_child();

        if (child == 0)
            _exit(stat_in_child(caller->control));
        if (wait_child(child) != 0)
            atomic_fetch_add(&caller->failures, 1);
        atomic_fetch_add(&caller->calls, 1);
    }
    return NULL;
}

static void two_threads_fork_at_once(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);
    struct caller forker[2], caller[2];

    (void)state;
    start_callers(caller, 2, control);
    for (int i = 0; i < 2; i++) {
        forker[i] = (struct caller){.control = control};
        assert_int_equal(pthread_create(&forker[i].thread, NULL, fork_on, &forker[i]), 0);
    }
    end_callers(forker, 2);
    end_callers(caller, 2);
    ros2i_control_destroy(control);
}

static void *stat_mute(void *arg)
{
    struct ros2_attr attr;

    return (void *)(intptr_t)ros2i_control_stat(arg, "/", false, world_deadline_ms(2000), &attr);
}

/* A peer that accepts and says nothing keeps a plain connection in the making until its time is over, and gRPC up with it:
 * the fork waits for that, and the child can make calls that end in time. */
static void fork_while_connecting_to_a_mute_peer(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct ros2i_control *control;
    pthread_t thread;
    void *result;

    (void)state;
    assert_int_equal(bind(peer, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(peer, 16), 0);
    assert_int_equal(getsockname(peer, (struct sockaddr *)&address, &len), 0);
    struct ros2i_control_options options = {
        .host = "127.0.0.1", .port = ntohs(address.sin_port), .plaintext = true};
    world_assert_ok(ros2i_control_create(&options, &control));
    assert_int_equal(pthread_create(&thread, NULL, stat_mute, control), 0);
    struct pollfd incoming = {.fd = peer, .events = POLLIN};
    assert_int_equal(poll(&incoming, 1, 60000), 1);

    pid_t child = fork_child();
    if (child == 0)
        _exit(stat_mute(control) != (void *)(intptr_t)-ETIMEDOUT);
    assert_int_equal(wait_child(child), 0);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, -ETIMEDOUT);
    ros2i_control_destroy(control);
    close(peer);
}

/* A function of readdir runs with no call open. */
static int fork_in_entry(void *arg, const char *name, size_t name_len, const struct ros2_attr *attr,
                         uint64_t cookie)
{
    (void)name;
    (void)name_len;
    (void)attr;
    (void)cookie;
    pid_t child = fork_child();
    if (child == 0)
        _exit(stat_in_child(arg));
    assert_int_equal(wait_child(child), 0);
    return 1;
}

static void a_list_function_may_fork_and_call(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);
    bool end;

    (void)state;
    ros2i_control_mkdir(control, "/entry", 0755, world_deadline());
    world_assert_ok(
        ros2i_control_list(control, "/", 0, false, fork_in_entry, control, world_deadline(), &end));
    ros2i_control_destroy(control);
}

static void signal_dispositions_and_mask_stay(void **state)
{
    struct sigaction before[NSIG], after;
    sigset_t mask_before, mask_after;

    (void)state;
    for (int i = 1; i < NSIG; i++)
        sigaction(i, NULL, &before[i]);
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    struct ros2i_control *control = world_connect(&ros2d);
    for (int i = 1; i < NSIG; i++) {
        if (sigaction(i, NULL, &after) == 0) /* two signals are the C library's own */
            assert_ptr_equal(before[i].sa_handler, after.sa_handler);
    }
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    for (int i = 1; i < NSIG; i++)
        assert_int_equal(sigismember(&mask_before, i), sigismember(&mask_after, i));
    ros2i_control_destroy(control);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(no_thread_is_left_after_the_last_control),
        cmocka_unit_test(create_alone_starts_nothing),
        cmocka_unit_test(idle_grpc_is_shut_down_and_the_next_call_works),
        cmocka_unit_test(calls_race_with_the_idle_shutdown),
        cmocka_unit_test(two_controls_come_and_go),
        cmocka_unit_test(parent_child_and_grandchild_call),
        cmocka_unit_test(fork_before_the_first_call_works),
        cmocka_unit_test(calls_in_flight_survive_forks),
        cmocka_unit_test(two_threads_fork_at_once),
        cmocka_unit_test(fork_while_connecting_to_a_mute_peer),
        cmocka_unit_test(a_list_function_may_fork_and_call),
        cmocka_unit_test(signal_dispositions_and_mask_stay),
    };

    return cmocka_run_group_tests(all, start, stop);
}
