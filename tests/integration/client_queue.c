/* SPDX-License-Identifier: Apache-2.0 */
/* What <ros2/queue.h> promises, against a real daemon, with and without a progress thread. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN 2000000u
#define S   1000000000ull

static struct daemon *d;
static struct ros2_client *client;
static uint8_t data[LEN];

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    *state = NULL; /* or the tests do not get theirs */
    client = daemon_connect(d);
    pattern(data, LEN, 21);
    store_write(d, "data", data, LEN);
    return 0;
}

static int teardown(void **state)
{
    *state = d;
    ros2_disconnect(client);
    return daemon_group_teardown(state);
}

static unsigned direct = 0, threaded = ROS2_QUEUE_PROGRESS_THREAD;

/* state: of which kind. */
static struct ros2_queue *new_queue(void **state, unsigned depth)
{
    struct ros2_queue *queue = NULL;
    struct ros2_queue_options options = {.size = sizeof(options), .flags = *(unsigned *)*state};
    assert_ok(ros2_queue_create(client, depth, &options, &queue));
    return queue;
}

/* All that is submitted, each with its result. */
static void reap_all(struct ros2_queue *queue, struct ros2_completion *completions, unsigned count)
{
    int n = ros2_queue_reap(queue, completions, count, count, 60 * S);
    if (n != (int)count)
        fail_msg("%d of %u completions, %s", n, count, ros2_error());
}

static struct ros2_completion run_one(struct ros2_queue *queue)
{
    struct ros2_completion completion;
    assert_int_equal(ros2_queue_submit(queue), 1);
    reap_all(queue, &completion, 1);
    return completion;
}

static void assert_done(const struct ros2_completion *completion, int64_t result)
{
    if (completion->result != result)
        fail_msg("operation %llu: %lld, not %lld; %s", (unsigned long long)completion->user_data,
                 (long long)completion->result, (long long)result,
                 completion->error ? completion->error : "no error");
}

static void the_depth_is_a_limit_and_reaping_makes_room(void **state)
{
    struct ros2_queue *queue = NULL;
    struct ros2_completion done[4];
    char buf[4][100];
    assert_error(ros2_queue_create(client, 0, NULL, &queue), EINVAL);
    assert_error(ros2_queue_create(client, ROS2_QUEUE_DEPTH_MAX + 1, NULL, &queue), EINVAL);
    struct ros2_queue_options bad = {.size = sizeof(bad), .flags = 1u << 30};
    assert_error(ros2_queue_create(client, 1, &bad, &queue), EINVAL);
    assert_null(queue);
    queue = new_queue(state, 4);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 4; i++)
            assert_ok(ros2_prepare_read(queue, file, buf[i], 100, 100 * i, i, 0));
        assert_error(ros2_prepare_read(queue, file, buf[0], 100, 0, 9, 0), EAGAIN);
        assert_non_null(strstr(ros2_error(), "depth of 4 is used up"));
        assert_int_equal(ros2_queue_submit(queue), 4);
        assert_int_equal(ros2_queue_submit(queue), 0);
        assert_error(ros2_prepare_read(queue, file, buf[0], 100, 0, 9, 0), EAGAIN);
        assert_error(ros2_queue_reap(queue, done, 3, 4, S), EINVAL);
        assert_error(ros2_queue_reap(queue, done, 0, 0, S), EINVAL);
        reap_all(queue, done, 3);
        assert_ok(ros2_prepare_fsync(queue, file, 0, 4, 0));
        assert_int_equal(ros2_queue_submit(queue), 1);
        reap_all(queue, done, 2);
        assert_int_equal(ros2_queue_reap(queue, done, 1, 1, S), 0); /* nothing is in flight */
    }
    ros2_queue_destroy(queue);
    ros2_queue_destroy(NULL);
    struct ros2_queue *deep = new_queue(state, ROS2_QUEUE_DEPTH_MAX);
    ros2_queue_destroy(deep);
    ros2_close(file);
}

static void many_reads_in_flight_bring_the_right_bytes(void **state)
{
    enum { COUNT = 64, EACH = 30000 };
    static uint8_t buf[COUNT][EACH];
    struct ros2_completion done[COUNT];
    struct ros2_queue *queue = new_queue(state, COUNT);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    memset(buf, 0, sizeof(buf));
    bool seen[COUNT] = {false};
    for (uint64_t i = 0; i < COUNT; i++)
        assert_ok(ros2_prepare_read(queue, file, buf[i], i % 2 ? EACH : 500, 31000 * i, i, 0));
    assert_int_equal(ros2_queue_submit(queue), COUNT);
    reap_all(queue, done, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t n = done[i].user_data;
        assert_true(n < COUNT && !seen[n]);
        seen[n] = true;
        assert_done(&done[i], n % 2 ? EACH : 500);
        assert_int_equal(done[i].kind, ROS2_QUEUE_READ);
        assert_null(done[i].file);
        assert_null(done[i].error);
        assert_memory_equal(buf[n], data + 31000 * n, n % 2 ? EACH : 500);
        assert_true(done[i].engine_ns > 0 && done[i].network_ns > 0);
        assert_in_range(done[i].queue_ns + done[i].network_ns + done[i].engine_ns, 1, 60 * S);
    }
    ros2_queue_destroy(queue);
    ros2_close(file);
}

static void a_large_read_and_one_past_the_end_are_as_pread(void **state)
{
    uint8_t *buf = calloc(1, LEN + 100);
    struct ros2_queue *queue = new_queue(state, 4);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    assert_ok(ros2_prepare_read(queue, file, buf, LEN + 100, 0, 1, 0));
    struct ros2_completion done = run_one(queue);
    assert_done(&done, LEN);
    assert_memory_equal(buf, data, LEN);
    assert_ok(ros2_prepare_read(queue, file, buf, 100, LEN, 2, 0));
    done = run_one(queue);
    assert_done(&done, 0);
    assert_ok(ros2_prepare_read(queue, file, NULL, 0, 5, 3, 0));
    done = run_one(queue);
    assert_done(&done, 0);
    assert_int_equal(done.user_data, 3);
    free(buf);
    ros2_queue_destroy(queue);
    ros2_close(file);
}

/* -- vectors -- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Cuts [0, len) of buf into odd pieces in an odd order of places. */
static int cut(struct iovec *iov, uint8_t *buf, size_t len, uint32_t *seed)
{
    static const size_t sizes[] = {0, 1, 3, 511, 512, 4095, 4096, 4097, 10000, 70001};
    size_t at = 0;
    int n = 0;
    while (at < len) {
        size_t piece = sizes[next_random(seed) % 10];
        piece = piece < len - at ? piece : len - at;
        iov[n++] = (struct iovec){piece ? buf + at : NULL, piece};
        at += piece;
    }
    for (int i = n - 1; i > 0; i--) { /* so that few lie end to end */
        int k = (int)(next_random(seed) % (uint32_t)(i + 1));
        struct iovec swap = iov[i];
        iov[i] = iov[k];
        iov[k] = swap;
    }
    return n;
}

static void flatten(uint8_t *to, const struct iovec *iov, int n)
{
    for (int i = 0; i < n; to += iov[i++].iov_len)
        if (iov[i].iov_len > 0)
            memcpy(to, iov[i].iov_base, iov[i].iov_len);
}

static void vectors_read_and_write_what_a_shadow_says(void **state)
{
    enum { SIZE = 600000, ROUNDS = 30 };
    uint8_t *shadow = calloc(1, SIZE), *buf = malloc(SIZE), *flat = malloc(SIZE);
    static struct iovec iov[4096];
    struct ros2_queue *queue = new_queue(state, 3);
    struct ros2_file *file = must_open(client, "/vector", O_RDWR | O_CREAT | O_TRUNC);
    size_t end = 0;
    uint32_t seed = 5;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        size_t len = 1 + next_random(&seed) % 200000, offset = next_random(&seed) % 300000;
        int n = cut(iov, buf, len, &seed);
        if (n > ROS2_QUEUE_IOV_MAX)
            continue;
        pattern(buf, len, round);
        assert_ok(ros2_prepare_writev(queue, file, iov, n, offset, round, 0));
        struct iovec saved[2] = {iov[0], iov[1]};
        memset(iov, 0, 2 * sizeof(*iov)); /* it was copied */
        struct ros2_completion done = run_one(queue);
        assert_done(&done, (int64_t)len);
        memcpy(iov, saved, sizeof(saved));
        flatten(shadow + offset, iov, n);
        end = offset + len > end ? offset + len : end;

        len = 1 + next_random(&seed) % 200000;
        offset = next_random(&seed) % (end + 100);
        n = cut(iov, buf, len, &seed);
        if (n > ROS2_QUEUE_IOV_MAX)
            continue;
        size_t there = offset >= end ? 0 : end - offset < len ? end - offset : len;
        assert_ok(ros2_prepare_readv(queue, file, iov, n, offset, round, 0));
        done = run_one(queue);
        assert_done(&done, (int64_t)there);
        assert_int_equal(done.kind, ROS2_QUEUE_READV);
        flatten(flat, iov, n);
        assert_memory_equal(flat, shadow + offset, there);
    }
    assert_error(ros2_prepare_readv(queue, file, iov, ROS2_QUEUE_IOV_MAX + 1, 0, 0, 0), EINVAL);
    assert_error(ros2_prepare_readv(queue, file, NULL, 1, 0, 0, 0), EFAULT);
    assert_ok(ros2_prepare_readv(queue, file, NULL, 0, 0, 7, 0));
    struct ros2_completion done = run_one(queue);
    assert_done(&done, 0);
    ros2_queue_destroy(queue);
    ros2_close(file);
    free(shadow);
    free(buf);
    free(flat);
}

static void an_appended_vector_is_one_append(void **state)
{
    enum { COUNT = 32 };
    char text[COUNT][8];
    struct ros2_completion done[COUNT];
    struct ros2_queue *queue = new_queue(state, COUNT);
    struct ros2_file *file = must_open(client, "/log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
    for (int i = 0; i < COUNT; i++) {
        snprintf(text[i], sizeof(text[i]), "%02d", i);
        struct iovec iov[4] = {{(char[]){'<'}, 1}, {text[i], 2}, {text[i], 2}, {(char[]){'>'}, 1}};
        assert_ok(ros2_prepare_writev(queue, file, iov, 4, 0, (uint64_t)i, 0));
    }
    assert_int_equal(ros2_queue_submit(queue), COUNT);
    reap_all(queue, done, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_done(&done[i], 6);
    ros2_queue_destroy(queue);
    ros2_close(file);
    size_t len;
    char *stored = store_read(d, "log", &len);
    assert_int_equal(len, 6 * COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(stored[6 * i] == '<' && stored[6 * i + 5] == '>' &&
                    memcmp(stored + 6 * i + 1, stored + 6 * i + 3, 2) == 0);
    free(stored);
}

/* -- sync, names -- */

static void writes_are_synced_and_stay(void **state)
{
    struct ros2_completion done[9];
    struct ros2_queue *queue = new_queue(state, 8);
    struct ros2_file *file = must_open(client, "/synced", O_RDWR | O_CREAT | O_TRUNC);
    for (uint64_t i = 0; i < 8; i++)
        assert_ok(ros2_prepare_write(queue, file, data + 50000 * i, 50000, 50000 * i, i, 0));
    assert_int_equal(ros2_queue_submit(queue), 8);
    reap_all(queue, done, 8);
    for (int i = 0; i < 8; i++)
        assert_done(&done[i], 50000);
    assert_ok(ros2_prepare_fsync(queue, file, 0, 8, 0));
    assert_ok(ros2_prepare_fsync(queue, file, ROS2_FSYNC_DATASYNC, 9, 0));
    assert_error(ros2_prepare_fsync(queue, file, 2, 9, 0), EINVAL);
    assert_int_equal(ros2_queue_submit(queue), 2);
    reap_all(queue, done, 2);
    assert_done(&done[0], 0);
    assert_done(&done[1], 0);
    ros2_queue_destroy(queue);
    ros2_close(file);
    size_t len;
    uint8_t *stored = store_read(d, "synced", &len);
    assert_int_equal(len, 400000);
    assert_memory_equal(stored, data, len);
    free(stored);
}

static void three_hundred_opens_go_at_once(void **state)
{
    enum { COUNT = 300 };
    static struct ros2_completion done[COUNT];
    static struct ros2_file *file[COUNT];
    static struct stat st[COUNT];
    char name[20];
    struct ros2_queue *queue = new_queue(state, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "/many-%llu", (unsigned long long)i);
        store_write(d, name, name, i % 15);
        assert_ok(ros2_prepare_open(queue, name, O_RDONLY, 0, i, 0));
        memset(name, 0, sizeof(name)); /* it was copied */
    }
    assert_int_equal(ros2_queue_submit(queue), COUNT);
    reap_all(queue, done, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_done(&done[i], 0);
        assert_int_equal(done[i].kind, ROS2_QUEUE_OPEN);
        assert_non_null(done[i].file);
        file[done[i].user_data] = done[i].file;
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "/many-%llu", (unsigned long long)i);
        assert_ok(ros2_prepare_stat(queue, name, &st[i], i, 0));
    }
    assert_int_equal(ros2_queue_submit(queue), COUNT);
    reap_all(queue, done, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        char buf[20];
        assert_done(&done[i], 0);
        assert_int_equal(st[i].st_size, i % 15);
        assert_int_equal(ros2_pread(file[i], buf, sizeof(buf), 0), i % 15);
        assert_ok(ros2_prepare_close(queue, file[i], i, 0));
    }
    assert_int_equal(ros2_queue_submit(queue), COUNT);
    reap_all(queue, done, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_done(&done[i], 0);
    ros2_queue_destroy(queue);
}

static void each_error_names_its_operation(void **state)
{
    struct ros2_completion done[3];
    struct ros2_queue *queue = new_queue(state, 8);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    struct stat st;
    char buf[10];
    assert_ok(ros2_prepare_open(queue, "/missing", O_RDONLY, 0, 1, 0));
    assert_ok(ros2_prepare_stat(queue, "/data/", &st, 2, 0));
    assert_ok(ros2_prepare_open(queue, "/data", O_RDONLY, 0, 3, 0));
    assert_int_equal(ros2_queue_submit(queue), 3);
    reap_all(queue, done, 3);
    for (int i = 0; i < 3; i++) {
        if (done[i].user_data == 3) {
            assert_done(&done[i], 0);
            assert_ok(ros2_close(done[i].file));
            continue;
        }
        assert_done(&done[i], done[i].user_data == 1 ? -ENOENT : -ENOTDIR);
        assert_null(done[i].file);
        assert_non_null(
            strstr(done[i].error, done[i].user_data == 1 ? "open /missing: " : "stat /data: "));
    }
    /* What can be seen at once is refused at once, and takes no place. */
    assert_error(ros2_prepare_write(queue, file, buf, 10, 0, 0, 0), EBADF);
    assert_non_null(strstr(ros2_error(), "prepare write /data: "));
    assert_error(ros2_prepare_read(queue, file, NULL, 10, 0, 0, 0), EFAULT);
    assert_error(ros2_prepare_read(queue, file, buf, 10, INT64_MAX, 0, 0), EINVAL);
    assert_error(ros2_prepare_read(queue, file, buf, 10, 0, 0, 86401 * S), EINVAL);
    assert_error(ros2_prepare_open(queue, "relative", O_RDONLY, 0, 0, 0), EINVAL);
    assert_error(ros2_prepare_open(queue, "/a", O_RDONLY | O_DIRECT, 0, 0, 0), EINVAL);
    assert_error(ros2_prepare_stat(queue, "/a", NULL, 0, 0), EFAULT);
    assert_error(ros2_prepare_stat(queue, NULL, &st, 0, 0), EINVAL);
    assert_error(ros2_prepare_close(queue, NULL, 0, 0), EFAULT);
    assert_error(ros2_queue_cancel(queue, 77), ENOENT);
    assert_int_equal(ros2_queue_submit(queue), 0);
    ros2_queue_destroy(queue);
    ros2_close(file);
}

#define BOTH(f)                                                \
    {#f, f, NULL, NULL, &direct},                              \
    {                                                          \
#f "_with_a_progress_thread", f, NULL, NULL, &threaded \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(the_depth_is_a_limit_and_reaping_makes_room),
        BOTH(many_reads_in_flight_bring_the_right_bytes),
        BOTH(a_large_read_and_one_past_the_end_are_as_pread),
        BOTH(vectors_read_and_write_what_a_shadow_says),
        BOTH(an_appended_vector_is_one_append),
        BOTH(writes_are_synced_and_stay),
        BOTH(three_hundred_opens_go_at_once),
        BOTH(each_error_names_its_operation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
