/* SPDX-License-Identifier: Apache-2.0 */
/* How queued operations end when the daemon is slow, fails or dies: each by its deadline or its cancel, with its buffer let go. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN 200000u
#define MS  1000000ull
#define S   1000000000ull

static struct daemon d;
static uint8_t data[LEN];
static unsigned direct = 0, threaded = ROS2_QUEUE_PROGRESS_THREAD;

static void start(const char *faults)
{
    daemon_start(&d, faults);
    pattern(data, LEN, 23);
    store_write(&d, "data", data, LEN);
    store_write(&d, "stuck", data, LEN);
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&d);
    return 0;
}

static struct ros2_queue *new_queue(struct ros2_client *client, void **state, unsigned depth)
{
    struct ros2_queue *queue = NULL;
    struct ros2_queue_options options = {.size = sizeof(options), .flags = *(unsigned *)*state};
    assert_ok(ros2_queue_create(client, depth, &options, &queue));
    return queue;
}

static struct ros2_completion reap_one(struct ros2_queue *queue)
{
    struct ros2_completion done;
    int n = ros2_queue_reap(queue, &done, 1, 1, 30 * S);
    if (n != 1)
        fail_msg("%d completions, %s", n, ros2_error());
    return done;
}

static void assert_filled(const uint8_t *buf, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++)
        if (buf[i] != value)
            fail_msg("byte %zu is 0x%02x", i, buf[i]);
}

static void a_slow_operation_does_not_hold_up_others(void **state)
{
    start("read:path=stuck:while=HOLD");
    static uint8_t slow[LEN], fast[8][LEN];
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 16);
    struct ros2_file *stuck = must_open(client, "/stuck", O_RDONLY),
                     *file = must_open(client, "/data", O_RDONLY);
    daemon_hold(&d);
    assert_ok(ros2_prepare_read(queue, stuck, slow, LEN, 0, 99, 0));
    for (uint64_t i = 0; i < 8; i++)
        assert_ok(ros2_prepare_read(queue, file, fast[i], LEN, 0, i, 0));
    assert_int_equal(ros2_queue_submit(queue), 9);
    for (int i = 0; i < 8; i++) {
        struct ros2_completion done = reap_one(queue);
        assert_true(done.user_data < 8);
        assert_int_equal(done.result, LEN);
    }
    struct ros2_completion done;
    uint64_t begin = real_ns();
    assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, 50 * MS), 0);
    assert_in_range(real_ns() - begin, 50 * MS, 20 * S);
    assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, 0), 0);
    daemon_release(&d);
    done = reap_one(queue);
    assert_int_equal(done.user_data, 99);
    assert_int_equal(done.result, LEN);
    assert_true(done.engine_ns >= 40 * MS); /* that is where it was held */
    assert_memory_equal(slow, data, LEN);
    ros2_queue_destroy(queue);
    ros2_close(stuck);
    ros2_close(file);
    ros2_disconnect(client);
}

/* A read that is stuck is ended in some way; its buffer is ours again. */
static void check_let_go(struct ros2_queue *queue, struct ros2_file *stuck, uint8_t *buf,
                         size_t len)
{
    memset(buf, 0xee, len);
    daemon_release(&d);
    assert_ok(ros2_prepare_read(queue, stuck, buf + LEN, len, 0, 1, 0));
    assert_int_equal(ros2_queue_submit(queue), 1);
    struct ros2_completion done = reap_one(queue); /* behind whatever came in late */
    assert_int_equal(done.result, len);
    assert_memory_equal(buf + LEN, data, len);
    assert_filled(buf, len, 0xee);
}

static void each_operation_ends_at_its_own_deadline(void **state)
{
    start("read:path=stuck:while=HOLD");
    static uint8_t buf[2 * LEN];
    static const size_t lens[] = {100, LEN};
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 4);
    struct ros2_file *stuck = must_open(client, "/stuck", O_RDONLY);
    for (size_t i = 0; i < 2; i++) {
        daemon_hold(&d);
        uint64_t begin = real_ns();
        assert_ok(ros2_prepare_read(queue, stuck, buf, lens[i], 0, 5, 300 * MS));
        assert_int_equal(ros2_queue_submit(queue), 1);
        struct ros2_completion done = reap_one(queue);
        assert_int_equal(done.result, -ETIMEDOUT);
        assert_non_null(
            strstr(done.error, "read /stuck: no answer from the daemon by the deadline"));
        assert_in_range((real_ns() - begin) / MS, 290, 4000);
        check_let_go(queue, stuck, buf, lens[i]);
    }
    ros2_queue_destroy(queue);
    ros2_close(stuck);
    ros2_disconnect(client);
}

static void a_stuck_operation_can_be_cancelled(void **state)
{
    start("read:path=stuck:while=HOLD");
    static uint8_t buf[2 * LEN];
    static const size_t lens[] = {100, LEN};
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 4);
    struct ros2_file *stuck = must_open(client, "/stuck", O_RDONLY);
    for (size_t i = 0; i < 4; i++) {
        size_t len = lens[i % 2];
        struct iovec iov[3] = {{buf + len / 2, len / 2}, {buf, 10}, {buf + 10, len / 2 - 10}};
        daemon_hold(&d);
        uint64_t begin = real_ns();
        if (i < 2)
            assert_ok(ros2_prepare_read(queue, stuck, buf, len, 0, 5, 3 * S));
        else
            assert_ok(ros2_prepare_readv(queue, stuck, iov, 3, 0, 5, 3 * S));
        assert_int_equal(ros2_queue_submit(queue), 1);
        assert_int_equal(ros2_queue_reap(queue, &(struct ros2_completion){0}, 1, 1, 100 * MS), 0);
        assert_error(ros2_queue_cancel(queue, 6), ENOENT);
        assert_int_equal(ros2_queue_cancel(queue, 5), 1);
        struct ros2_completion done = reap_one(queue);
        assert_int_equal(done.user_data, 5);
        assert_int_equal(done.result, -ECANCELED);
        assert_non_null(strstr(done.error, "/stuck: cancelled before it was done"));
        assert_in_range((real_ns() - begin) / MS, 0, 2500);
        check_let_go(queue, stuck, buf, len);
    }
    ros2_queue_destroy(queue);
    ros2_close(stuck);
    ros2_disconnect(client);
}

static void a_cancelled_write_lets_go_of_its_buffer(void **state)
{
    start("write:path=out:while=HOLD");
    static uint8_t buf[LEN];
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 4);
    struct ros2_file *file = must_open(client, "/out", O_RDWR | O_CREAT);
    daemon_hold(&d);
    memset(buf, 0x11, LEN);
    assert_ok(ros2_prepare_write(queue, file, buf, LEN, 0, 5, 3 * S));
    assert_int_equal(ros2_queue_submit(queue), 1);
    assert_int_equal(ros2_queue_cancel(queue, 5), 1);
    struct ros2_completion done = reap_one(queue);
    assert_int_equal(done.result, -ECANCELED);
    memset(buf, 0x22, LEN);
    daemon_release(&d);
    assert_ok(ros2_prepare_fsync(queue, file, 0, 6, 0));
    assert_int_equal(ros2_queue_submit(queue), 1);
    done = reap_one(queue);
    assert_int_equal(done.result, 0);
    size_t len;
    uint8_t *stored = store_read(&d, "out", &len);
    for (size_t i = 0; i < len; i++)
        assert_int_not_equal(stored[i], 0x22);
    free(stored);
    ros2_queue_destroy(queue);
    ros2_close(file);
    ros2_disconnect(client);
}

static void opens_are_cancelled_until_they_begin(void **state)
{
    start("open:path=stuck:while=HOLD");
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 4);
    struct ros2_completion done;
    struct stat st = {.st_size = 77};
    daemon_hold(&d);
    assert_ok(ros2_prepare_open(queue, "/stuck", O_RDONLY, 0, 1, 500 * MS));
    assert_int_equal(ros2_queue_submit(queue), 1);
    assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, 50 * MS), 0);
    assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 2, 0));
    assert_ok(ros2_prepare_stat(queue, "/data", &st, 2, 0));
    assert_int_equal(ros2_queue_submit(queue), 2);
    assert_ok(ros2_prepare_stat(queue, "/data", &st, 2, 0));
    assert_int_equal(ros2_queue_cancel(queue, 2), 3);
    for (int i = 0; i < 3; i++) {
        done = reap_one(queue);
        assert_int_equal(done.user_data, 2);
        assert_int_equal(done.result, -ECANCELED);
        assert_non_null(strstr(done.error, " /data: cancelled before"));
        assert_null(done.file);
    }
    assert_int_equal(st.st_size, 77);
    done = reap_one(queue); /* the deadline of what has begun holds */
    assert_int_equal(done.user_data, 1);
    assert_int_equal(done.result, -ETIMEDOUT);
    daemon_release(&d);
    ros2_queue_destroy(queue);
    ros2_disconnect(client);
}

/* In the worker: a stat, or an open, that the daemon holds. */
static void destroy_with_stuck(struct ros2_client *client, void **state, bool open_first)
{
    static uint8_t buf[4][LEN];
    static struct stat st;
    struct ros2_queue *queue = new_queue(client, state, 8);
    struct ros2_file *stuck = must_open(client, "/stuck", O_RDONLY);
    daemon_hold(&d);
    for (uint64_t i = 0; i < 4; i++)
        assert_ok(ros2_prepare_read(queue, stuck, buf[i], LEN, 0, i, 0));
    if (open_first)
        assert_ok(ros2_prepare_open(queue, "/other", O_RDONLY, 0, 4, 0));
    assert_ok(ros2_prepare_stat(queue, "/other", &st, 5, 0));
    if (!open_first)
        assert_ok(ros2_prepare_open(queue, "/other", O_RDONLY, 0, 4, 0));
    assert_ok(ros2_prepare_close(queue, must_open(client, "/data", O_RDONLY), 6, 0));
    assert_int_equal(ros2_queue_submit(queue), 7);
    assert_int_equal(ros2_queue_reap(queue, &(struct ros2_completion){0}, 1, 1, 100 * MS), 0);
    uint64_t begin = real_ns();
    ros2_queue_destroy(queue);
    assert_in_range((real_ns() - begin) / MS, 0, 3000);
    memset(buf, 0xee, sizeof(buf));
    memset(&st, 0xee, sizeof(st));
    daemon_release(&d);
    assert_ok(ros2_ping(client, NULL));
    ros2_close(stuck);
    ros2_disconnect(client); /* waits for the worker */
    assert_filled((uint8_t *)buf, sizeof(buf), 0xee);
    assert_filled((uint8_t *)&st, sizeof(st), 0xee);
}

static void a_queue_with_stuck_operations_is_destroyed_at_once(void **state)
{
    start("read:path=stuck:while=HOLD,open:path=other:while=HOLD,stat:path=other:while=HOLD");
    store_write(&d, "other", data, 10);
    destroy_with_stuck(daemon_connect(&d), state, true);
    destroy_with_stuck(daemon_connect(&d), state, false);
}

static void a_failed_vector_says_how_much_is_written(void **state)
{
    start("write:path=full:errno=ENOSPC:nth=3:times=100");
    static uint8_t buf[6][10000];
    struct iovec iov[5];
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 4);
    struct ros2_file *file = must_open(client, "/full", O_WRONLY | O_CREAT | O_APPEND);
    for (int i = 0; i < 5; i++)
        iov[i] = (struct iovec){buf[i], 9000};
    /* Too much to be gathered: one at a time, in their order. */
    static uint8_t large[1 << 20];
    iov[4] = (struct iovec){large, sizeof(large)};
    assert_ok(ros2_prepare_writev(queue, file, iov, 5, 0, 1, 0));
    assert_int_equal(ros2_queue_submit(queue), 1);
    struct ros2_completion done = reap_one(queue);
    assert_int_equal(done.result, -ENOSPC);
    if (!strstr(done.error, "writev /full: ") || !strstr(done.error, "(18000 of 1084576 bytes"))
        fail_msg("%s", done.error);
    assert_null(strstr(strstr(done.error, "bytes are") + 1, "bytes are"));
    size_t len;
    free(store_read(&d, "full", &len));
    assert_int_equal(len, 18000);
    ros2_queue_destroy(queue);
    ros2_close(file);
    ros2_disconnect(client);
}

static void a_deadline_wakes_the_event_loop(void **state)
{
    start("read:path=stuck:while=HOLD");
    static uint8_t buf[LEN];
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 4);
    struct ros2_file *stuck = must_open(client, "/stuck", O_RDONLY);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), n = 0, turns = 0;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ros2_queue_fd(queue), &event);
    /* Some transports do not sleep while they connect. */
    assert_ok(ros2_prepare_read(queue, file, buf, LEN, 0, 1, 0));
    assert_int_equal(ros2_queue_submit(queue), 1);
    assert_int_equal(reap_one(queue).result, LEN);
    daemon_hold(&d);
    uint64_t begin = real_ns();
    assert_ok(ros2_prepare_read(queue, stuck, buf, LEN, 0, 5, 300 * MS));
    assert_int_equal(ros2_queue_submit(queue), 1);
    struct ros2_completion done;
    while (n == 0) {
        assert_int_equal(epoll_wait(epoll_fd, &event, 1, 10000), 1);
        n = ros2_queue_reap(queue, &done, 1, 0, 0);
        turns++;
    }
    assert_int_equal(done.result, -ETIMEDOUT);
    assert_in_range((real_ns() - begin) / MS, 290, 4000);
    assert_in_range(turns, 1, 100); /* it slept in between */
    daemon_release(&d);
    ros2_queue_destroy(queue);
    close(epoll_fd);
    ros2_close(file);
    ros2_close(stuck);
    ros2_disconnect(client);
}

static void a_dead_daemon_ends_every_operation(void **state)
{
    start("read:path=stuck:while=HOLD");
    static uint8_t buf[LEN];
    struct stat st;
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_queue *queue = new_queue(client, state, 8);
    struct ros2_file *stuck = must_open(client, "/stuck", O_RDONLY);
    daemon_hold(&d);
    assert_ok(ros2_prepare_read(queue, stuck, buf, LEN, 0, 1, S));
    assert_ok(ros2_prepare_fsync(queue, stuck, 0, 2, S));
    assert_int_equal(ros2_queue_submit(queue), 2);
    assert_ok(ros2_queue_reap(queue, &(struct ros2_completion){0}, 1, 0, 0));
    daemon_kill(&d);
    assert_ok(ros2_prepare_stat(queue, "/data", &st, 3, S));
    assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 4, S));
    assert_int_equal(ros2_queue_submit(queue), 2);
    uint64_t begin = real_ns();
    for (int i = 0; i < 4; i++) {
        struct ros2_completion done = reap_one(queue);
        assert_true(done.result < 0);
        assert_non_null(done.error);
    }
    assert_ok(ros2_prepare_close(queue, stuck, 5, S));
    assert_int_equal(ros2_queue_submit(queue), 1);
    assert_int_equal(reap_one(queue).result, 0);
    assert_in_range((real_ns() - begin) / MS, 0, 9000);
    ros2_queue_destroy(queue);
    ros2_disconnect(client);
}

#define BOTH(f)                                                \
    {#f, f, NULL, stop, &direct},                              \
    {                                                          \
#f "_with_a_progress_thread", f, NULL, stop, &threaded \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_slow_operation_does_not_hold_up_others),
        BOTH(each_operation_ends_at_its_own_deadline),
        BOTH(a_stuck_operation_can_be_cancelled),
        BOTH(a_cancelled_write_lets_go_of_its_buffer),
        BOTH(opens_are_cancelled_until_they_begin),
        BOTH(a_queue_with_stuck_operations_is_destroyed_at_once),
        BOTH(a_failed_vector_says_how_much_is_written),
        BOTH(a_deadline_wakes_the_event_loop),
        BOTH(a_dead_daemon_ends_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
