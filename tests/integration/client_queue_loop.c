/* SPDX-License-Identifier: Apache-2.0 */
/* Queues in event loops, threads and forked processes. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN 1000000u
#define S   1000000000ull

static struct daemon *d;
static struct ros2_client *client;
static struct ros2_file *file;
static uint8_t data[LEN];

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    *state = NULL; /* or the tests do not get theirs */
    client = daemon_connect(d);
    pattern(data, LEN, 22);
    store_write(d, "data", data, LEN);
    file = must_open(client, "/data", O_RDONLY);
    return 0;
}

static int teardown(void **state)
{
    *state = d;
    ros2_close(file);
    ros2_disconnect(client);
    return daemon_group_teardown(state);
}

static unsigned direct = 0, threaded = ROS2_QUEUE_PROGRESS_THREAD;

static struct ros2_queue *new_queue(unsigned flags, unsigned depth)
{
    struct ros2_queue *queue = NULL;
    struct ros2_queue_options options = {.size = sizeof(options), .flags = flags};
    assert_ok(ros2_queue_create(client, depth, &options, &queue));
    return queue;
}

static int watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(epoll_fd >= 0);
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
    return epoll_fd;
}

/* Ten seconds without a wake-up while operations are in flight: one was lost. */
static void await(int epoll_fd)
{
    struct epoll_event event;
    int n = epoll_wait(epoll_fd, &event, 1, 10000);
    if (n != 1)
        fail_msg("epoll_wait: %d", n);
}

static bool is_quiet(int epoll_fd)
{
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, 0) == 0;
}

/* -- event loops -- */

/* Keeps depth reads going; between two waits it reaps at most max. */
static void loop(unsigned flags, unsigned depth, unsigned max, unsigned total)
{
    enum { EACH = 5000, DEPTH_MAX = 64 };
    static uint8_t buf[DEPTH_MAX][EACH];
    struct ros2_completion done[DEPTH_MAX];
    struct ros2_queue *queue = new_queue(flags, depth);
    int fd = ros2_queue_fd(queue);
    assert_ok(fd);
    int epoll_fd = watch(fd);
    unsigned begun = 0, ended = 0;
    size_t at[DEPTH_MAX], len[DEPTH_MAX];
    unsigned idle[DEPTH_MAX], idle_count = depth;
    for (unsigned i = 0; i < depth; i++)
        idle[i] = i;
    while (ended < total) {
        while (idle_count > 0 && begun < total) {
            unsigned n = idle[--idle_count];
            at[n] = (begun * 7919u) % (LEN - EACH);
            len[n] = begun % 2 ? EACH : 100;
            assert_ok(ros2_prepare_read(queue, file, buf[n], len[n], at[n], n, 0));
            begun++;
        }
        assert_ok(ros2_queue_submit(queue));
        await(epoll_fd);
        int count = ros2_queue_reap(queue, done, max, 0, 0);
        assert_ok(count);
        for (int i = 0; i < count; i++) {
            unsigned n = (unsigned)done[i].user_data;
            if (done[i].result != (int64_t)len[n] || memcmp(buf[n], data + at[n], len[n]) != 0)
                fail_msg("read of %zu: %lld", len[n], (long long)done[i].result);
            idle[idle_count++] = n;
        }
        ended += (unsigned)count;
    }
    assert_int_equal(ros2_queue_reap(queue, done, 1, 0, 0), 0);
    assert_true(is_quiet(epoll_fd));
    assert_int_equal(ros2_queue_fd(queue), fd);
    ros2_queue_destroy(queue);
    close(epoll_fd);
}

static void a_loop_that_only_waits_for_the_descriptor_loses_no_wake_up(void **state)
{
    unsigned flags = *(unsigned *)*state;
    loop(flags, 1, 1, 1000);
    loop(flags, 32, 32, 10000);
    loop(flags, 32, 3, 2000); /* completions are left behind by each reap */
}

static void the_descriptor_tells_of_opens_too(void **state)
{
    struct ros2_completion done;
    struct ros2_queue *queue = new_queue(*(unsigned *)*state, 4);
    int epoll_fd = watch(ros2_queue_fd(queue));
    assert_true(is_quiet(epoll_fd));
    for (int i = 0; i < 20; i++) {
        int n;
        assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 5, 0));
        assert_int_equal(ros2_queue_submit(queue), 1);
        do {
            await(epoll_fd);
            n = ros2_queue_reap(queue, &done, 1, 0, 0);
        } while (n == 0);
        assert_int_equal(n, 1);
        assert_int_equal(done.result, 0);
        assert_ok(ros2_close(done.file));
    }
    assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 6, 0));
    assert_int_equal(ros2_queue_cancel(queue, 6), 1);
    await(epoll_fd);
    assert_int_equal(ros2_queue_reap(queue, &done, 1, 0, 0), 1);
    assert_int_equal(done.result, -ECANCELED);
    ros2_queue_destroy(queue);
    close(epoll_fd);
}

static void lost_connections_wake_the_loop(void **state)
{
    enum { EACH = 200000 };
    static uint8_t buf[EACH];
    struct ros2_completion done;
    struct ros2_queue *queue = new_queue(*(unsigned *)*state, 4);
    int epoll_fd = watch(ros2_queue_fd(queue));
    for (int i = 0; i < 20; i++) {
        int n;
        memset(buf, 0, EACH);
        assert_ok(ros2_prepare_read(queue, file, buf, EACH, 0, 0, 0));
        assert_int_equal(ros2_queue_submit(queue), 1);
        daemon_cut_channels(d);
        do {
            await(epoll_fd);
            n = ros2_queue_reap(queue, &done, 1, 0, 0);
        } while (n == 0);
        if (done.result != EACH)
            fail_msg("%lld %s", (long long)done.result, done.error);
        assert_memory_equal(buf, data, EACH);
    }
    ros2_queue_destroy(queue);
    close(epoll_fd);
}

/* A connection that was silent for a second is looked at before anything is sent on it. */
static void after_a_pause_the_loop_goes_on(void **state)
{
    char buf[100];
    struct ros2_completion done;
    struct ros2_queue *queue = new_queue(*(unsigned *)*state, 4);
    int epoll_fd = watch(ros2_queue_fd(queue)), n;
    for (int i = 0; i < 3; i++) {
        uint64_t begin = real_ns();
        assert_ok(ros2_prepare_read(queue, file, buf, sizeof(buf), 0, 0, 0));
        assert_int_equal(ros2_queue_submit(queue), 1);
        do {
            await(epoll_fd);
            n = ros2_queue_reap(queue, &done, 1, 0, 0);
        } while (n == 0);
        assert_int_equal(done.result, sizeof(buf));
        assert_in_range(real_ns() - begin, 0, 3 * S / 2); /* not only with the keepalive */
        if (i < 2)
            usleep(1100000); /* the pause itself */
    }
    ros2_queue_destroy(queue);
    close(epoll_fd);
}

/* More buffers than are in flight at a time, so that the later ones start while the loop waits. */
static void long_vectors_need_no_other_wake_up(void **state)
{
    enum { COUNT = 200, EACH = 1000 };
    static uint8_t buf[COUNT][2 * EACH];
    struct iovec iov[COUNT];
    struct ros2_completion done;
    struct ros2_queue *queue = new_queue(*(unsigned *)*state, 4);
    int epoll_fd = watch(ros2_queue_fd(queue)), n;
    for (int i = 0; i < COUNT; i++)
        iov[i] = (struct iovec){buf[i], EACH};
    uint64_t begin = real_ns();
    for (int round = 0; round < 20; round++) {
        assert_ok(ros2_prepare_readv(queue, file, iov, COUNT, 0, 0, 0));
        assert_int_equal(ros2_queue_submit(queue), 1);
        do {
            await(epoll_fd);
            n = ros2_queue_reap(queue, &done, 1, 0, 0);
        } while (n == 0);
        assert_int_equal(done.result, COUNT * EACH);
        for (int i = 0; i < COUNT; i++)
            assert_memory_equal(buf[i], data + i * EACH, EACH);
    }
    assert_in_range(real_ns() - begin, 0, 20 * S); /* the keepalive's would take minutes */
    ros2_queue_destroy(queue);
    close(epoll_fd);
}

/* -- threads -- */

static void *read_in_own_queue(void *arg)
{
    enum { COUNT = 16, EACH = 20000 };
    struct ros2_queue *queue = arg; /* created by another thread: this one is its owner now */
    struct ros2_completion done[COUNT];
    uint8_t *buf = malloc(COUNT * EACH);
    bool good = true;
    for (int round = 0; round < 50 && good; round++) {
        for (uint64_t i = 0; i < COUNT; i++)
            good =
                good && ros2_prepare_read(queue, file, buf + i * EACH, EACH, i * EACH, i, 0) == 0;
        good = good && ros2_queue_submit(queue) == COUNT;
        good = good && ros2_queue_reap(queue, done, COUNT, COUNT, 60 * S) == COUNT;
        for (int i = 0; i < COUNT && good; i++)
            good = done[i].result == EACH;
        good = good && memcmp(buf, data, COUNT * EACH) == 0;
        memset(buf, 0, COUNT * EACH);
    }
    free(buf);
    ros2_queue_destroy(queue);
    return good ? arg : NULL;
}

static void two_threads_have_a_queue_each(void **state)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, read_in_own_queue, new_queue(*(unsigned *)*state, 16));
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(thread[i], &result);
        assert_non_null(result);
    }
}

#ifndef NDEBUG
static void *submit(void *queue)
{
    ros2_queue_submit(queue);
    return NULL;
}

static void a_debug_build_stops_a_second_thread(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        pthread_t thread;
        struct ros2_queue *queue = NULL;
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        if (ros2_queue_create(client, 1, NULL, &queue) < 0 || ros2_queue_submit(queue) < 0)
            _exit(1);
        pthread_create(&thread, NULL, submit, queue);
        pthread_join(thread, NULL);
        _exit(0);
    }
    (void)state;
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
#endif

/* -- ends -- */

static void reap_waits_for_as_many_as_it_is_told_and_can_come(void **state)
{
    char buf[3][10];
    struct ros2_completion done[8];
    struct ros2_queue *queue = new_queue(*(unsigned *)*state, 8);
    uint64_t begin = real_ns();
    assert_int_equal(ros2_queue_reap(queue, done, 8, 8, ROS2_FOREVER), 0);
    for (uint64_t i = 0; i < 3; i++)
        assert_ok(ros2_prepare_read(queue, file, buf[i], 10, 0, i, 0));
    assert_int_equal(ros2_queue_reap(queue, done, 8, 8, ROS2_FOREVER), 0); /* submits nothing */
    assert_int_equal(ros2_queue_submit(queue), 3);
    assert_int_equal(ros2_queue_reap(queue, done, 2, 2, ROS2_FOREVER), 2);
    assert_int_equal(ros2_queue_reap(queue, done, 8, 8, ROS2_FOREVER), 1);
    assert_in_range(real_ns() - begin, 0, 20 * S);
    ros2_queue_destroy(queue);
}

static void a_queue_is_destroyed_in_any_state(void **state)
{
    enum { COUNT = 32, EACH = 200000 };
    static uint8_t buf[COUNT][EACH];
    static struct stat st;
    for (int round = 0; round < 12; round++) {
        struct ros2_completion done;
        struct ros2_queue *queue = new_queue(*(unsigned *)*state, COUNT + 8);
        struct ros2_file *own = must_open(client, "/data", O_RDONLY);
        struct ros2_file *open_still = must_open(client, "/data", O_RDONLY);
        for (uint64_t i = 0; i < COUNT; i++)
            assert_ok(ros2_prepare_read(queue, file, buf[i], EACH, 0, i, 0));
        assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 100, 0));
        assert_ok(ros2_prepare_stat(queue, "/data", &st, 101, 0));
        assert_ok(ros2_prepare_close(queue, own, 102, 0));
        if (round % 3 > 0)
            assert_int_equal(ros2_queue_submit(queue), COUNT + 3);
        else
            ros2_close(own);
        assert_ok(ros2_prepare_read(queue, file, buf[0], 10, 0, 103, 0));
        assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 104, 0));
        assert_ok(ros2_prepare_close(queue, open_still, 105, 0));
        if (round % 3 > 1)
            assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, 10 * S), 1);
        if (round % 2 > 0)
            ros2_queue_fd(queue);
        if (round % 3 > 1 && done.file)
            ros2_close(done.file);
        ros2_queue_destroy(queue);
        memset(buf, 0xee, sizeof(buf));
        assert_ok(ros2_ping(client, NULL));
        for (size_t i = 0; i < sizeof(buf); i++)
            if (((uint8_t *)buf)[i] != 0xee)
                fail_msg("byte %zu was touched after destroy", i);
        char byte;
        assert_int_equal(ros2_pread(open_still, &byte, 1, 0), 1);
        ros2_close(open_still);
    }
}

static bool works_in_a_child(void)
{
#ifdef __SANITIZE_THREAD__
    return true; /* it dies of a child's thread, such as gRPC's, in the place of one that the parent has */
#endif
    enum { EACH = 200000 };
    static uint8_t buf[EACH];
    struct ros2_completion done[2] = {0};
    struct ros2_queue *own = NULL;
    bool good = ros2_queue_create(client, 2, NULL, &own) == 0 &&
                ros2_prepare_read(own, file, buf, EACH, 0, 7, 0) == 0 &&
                ros2_prepare_open(own, "/data", O_RDONLY, 0, 8, 0) == 0 &&
                ros2_queue_submit(own) == 2 && ros2_queue_reap(own, done, 2, 2, 20 * S) == 2 &&
                done[0].result + done[1].result == EACH && memcmp(buf, data, EACH) == 0;
    ros2_close(done[0].file);
    ros2_close(done[1].file);
    ros2_queue_destroy(own);
    return good;
}

static void a_child_must_not_use_its_parents_queue(void **state)
{
    enum { EACH = 200000 };
    static uint8_t buf[EACH];
    struct ros2_completion done[2];
    struct ros2_queue *queue = new_queue(*(unsigned *)*state, 4);
    for (int round = 0; round < 5; round++) {
        assert_ok(ros2_prepare_read(queue, file, buf, EACH, 0, 0, 0));
        assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 1, 0));
        assert_int_equal(ros2_queue_submit(queue), 2);
        assert_ok(ros2_prepare_stat(queue, "/data", &(struct stat){0}, 2, 0));
        pid_t child = fork();
        if (child == 0) {
            bool good = ros2_prepare_read(queue, file, buf, 1, 0, 0, 0) == -EPERM &&
                        strstr(ros2_error(), "before fork()") &&
                        ros2_queue_submit(queue) == -EPERM &&
                        ros2_queue_reap(queue, done, 1, 0, 0) == -EPERM &&
                        ros2_queue_cancel(queue, 0) == -EPERM && ros2_queue_fd(queue) == -EPERM;
            ros2_queue_destroy(queue);
            good = good && works_in_a_child();
            if (!good)
                fprintf(stderr, "# child: %s\n", ros2_error());
            ros2_disconnect(client);
            _exit(good ? 0 : 1);
        }
        assert_int_equal(ros2_queue_cancel(queue, 2), 1);
        int status = -1, count = 0;
        while (count < 3) {
            int n = ros2_queue_reap(queue, done, 2, 1, 20 * S);
            assert_true(n > 0);
            for (int i = 0; i < n; i++) {
                assert_int_equal(done[i].result, done[i].kind == ROS2_QUEUE_READ   ? EACH
                                                 : done[i].kind == ROS2_QUEUE_STAT ? -ECANCELED
                                                                                   : 0);
                ros2_close(done[i].file);
            }
            count += n;
        }
        assert_memory_equal(buf, data, EACH);
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
    ros2_queue_destroy(queue);
}

static void disconnect_ends_the_queues_that_were_forgotten(void **state)
{
    static char buf[100000];
    struct ros2_client *own = daemon_connect(d);
    struct ros2_queue_options options = {.size = sizeof(options), .flags = *(unsigned *)*state};
    struct ros2_queue *queue = NULL;
    struct ros2_file *f = must_open(own, "/data", O_RDONLY);
    assert_ok(ros2_queue_create(own, 4, &options, &queue));
    assert_ok(ros2_prepare_read(queue, f, buf, sizeof(buf), 0, 0, 0));
    assert_ok(ros2_prepare_close(queue, must_open(own, "/data", O_RDONLY), 0, 0));
    assert_int_equal(ros2_queue_submit(queue), 2);
    struct ros2_completion done[2];
    assert_int_equal(ros2_queue_reap(queue, done, 2, 2, 20 * S), 2);
    ros2_close(f);
    ros2_disconnect(own);
    ros2_queue_destroy(queue);
}

#define BOTH(f)                                                \
    {#f, f, NULL, NULL, &direct},                              \
    {                                                          \
#f "_with_a_progress_thread", f, NULL, NULL, &threaded \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_loop_that_only_waits_for_the_descriptor_loses_no_wake_up),
        BOTH(the_descriptor_tells_of_opens_too),
        BOTH(lost_connections_wake_the_loop),
        BOTH(after_a_pause_the_loop_goes_on),
        BOTH(long_vectors_need_no_other_wake_up),
        BOTH(two_threads_have_a_queue_each),
#ifndef NDEBUG
        cmocka_unit_test(a_debug_build_stops_a_second_thread),
#endif
        BOTH(reap_waits_for_as_many_as_it_is_told_and_can_come),
        BOTH(a_queue_is_destroyed_in_any_state),
        BOTH(a_child_must_not_use_its_parents_queue),
        BOTH(disconnect_ends_the_queues_that_were_forgotten),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
