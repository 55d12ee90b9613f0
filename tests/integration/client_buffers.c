/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of ros2_buf_alloc() and registered memory: what they are, and when they are the caller's again. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN 700001u

static struct daemon *d;
static struct ros2_client *client;
static uint8_t data[LEN];

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    pattern(data, LEN, 5);
    store_write(d, "data", data, LEN);
    client = daemon_connect(d);
    return 0;
}

static int teardown(void **state)
{
    ros2_disconnect(client);
    return daemon_group_teardown(state);
}

static uint8_t *alloc(size_t len, struct ros2_buf **buf_p)
{
    assert_ok(ros2_buf_alloc(client, len, NULL, buf_p));
    assert_int_equal(ros2_buf_len(*buf_p), len);
    return ros2_buf_addr(*buf_p);
}

static void a_buffer_is_zeroed_and_page_aligned(void **state)
{
    struct ros2_buf *buf;
    const struct ros2_buf_options options = {
        .size = sizeof(options), .flags = ROS2_BUF_HUGE | ROS2_BUF_NUMA, .numa_node = 0};

    (void)state;
    uint8_t *bytes = alloc(10000, &buf);
    assert_int_equal((uintptr_t)bytes % 4096, 0);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(bytes[i], 0);
    assert_ok(ros2_buf_free(buf));
    assert_ok(ros2_buf_alloc(client, 3u << 20, &options, &buf));
    assert_int_equal((uintptr_t)ros2_buf_addr(buf) % (2u << 20), 0);
    memset(ros2_buf_addr(buf), 1, 3u << 20);
    assert_ok(ros2_buf_free(buf));
    assert_ok(ros2_buf_free(NULL));
}

static void what_makes_no_buffer_is_refused(void **state)
{
    struct ros2_buf *buf = NULL;
    struct ros2_buf_options options = {.size = sizeof(options)};

    (void)state;
    assert_error(ros2_buf_alloc(client, 0, NULL, &buf), EINVAL);
    assert_error(ros2_buf_alloc(client, SIZE_MAX, NULL, &buf), EINVAL);
    assert_error(ros2_buf_alloc(client, 1ull << 60, NULL, &buf), ENOMEM);
    options.flags = 0x80;
    assert_error(ros2_buf_alloc(client, 1, &options, &buf), EINVAL);
    options = (struct ros2_buf_options){.size = 3};
    assert_error(ros2_buf_alloc(client, 1, &options, &buf), EINVAL);
    options = (struct ros2_buf_options){
        .size = sizeof(options), .flags = ROS2_BUF_NUMA, .numa_node = 1u << 31};
    assert_error(ros2_buf_alloc(client, 1, &options, &buf), EINVAL);
    assert_null(buf);
}

/* Whole pages, odd pieces of pages, and both ends odd. */
static void data_lands_in_a_buffer_wherever_it_starts(void **state)
{
    static const struct {
        size_t at, len, offset;
    } cases[] = {
        {0, LEN, 0},       {0, 4096, 4096},   {4096, 8192, 1},    {1, 4095, 0},
        {1, 4097, 77},     {4095, 2, 5},      {100, 65536, 3},    {0, 65536, 9},
        {3, 131072, 1000}, {4090, 300000, 0}, {8192, 300001, 12}, {0, 5000, LEN - 4000},
    };
    struct ros2_buf *buf;
    uint8_t *bytes = alloc(LEN + 8192, &buf);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    struct ros2_file *copy = must_open(client, "/copy", O_RDWR | O_CREAT | O_TRUNC);
    static uint8_t back[LEN + 8192];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t at = cases[i].at, len = cases[i].len, offset = cases[i].offset;
        size_t there = offset + len > LEN ? LEN - offset : len;
        memset(bytes, 0x77, LEN + 8192);
        assert_int_equal(ros2_pread(file, bytes + at, len, offset), there);
        assert_memory_equal(bytes + at, data + offset, there);
        for (size_t j = 0; j < LEN + 8192; j++)
            if ((j < at || j >= at + there) && bytes[j] != 0x77)
                fail_msg("case %zu: byte %zu has changed", i, j);
        assert_int_equal(ros2_pwrite(copy, bytes + at, there, offset), there);
        assert_int_equal(ros2_pread(copy, back, there, offset), there);
        assert_memory_equal(back, data + offset, there);
    }
    ros2_close(file);
    ros2_close(copy);
    assert_ok(ros2_buf_free(buf));
}

static void appends_from_a_buffer_stay_in_one_piece(void **state)
{
    struct ros2_buf *buf;
    uint8_t *bytes = alloc(LEN, &buf);
    struct ros2_file *log = must_open(client, "/log", O_WRONLY | O_CREAT | O_APPEND);
    size_t len;

    (void)state;
    memcpy(bytes, data, LEN);
    assert_int_equal(ros2_write(log, bytes + 7, 100000), 100000);
    assert_int_equal(ros2_write(log, bytes, 131072), 131072);
    ros2_close(log);
    uint8_t *stored = store_read(d, "log", &len);
    assert_int_equal(len, 231072);
    assert_memory_equal(stored, data + 7, 100000);
    assert_memory_equal(stored + 100000, data, 131072);
    free(stored);
    assert_ok(ros2_buf_free(buf));
}

static void registering_says_what_cannot_be_taken(void **state)
{
    static uint8_t memory[8192];
    struct ros2_buf *buf = NULL;
    const unsigned both = ROS2_BUF_SOURCE | ROS2_BUF_TARGET;

    (void)state;
    assert_error(ros2_buf_register(client, NULL, 1, both, ROS2_BUF_HOST, &buf), EINVAL);
    assert_error(ros2_buf_register(client, memory, 0, both, ROS2_BUF_HOST, &buf), EINVAL);
    assert_error(ros2_buf_register(client, memory, SIZE_MAX, both, ROS2_BUF_HOST, &buf), EINVAL);
    assert_error(ros2_buf_register(client, memory, 1, 0, ROS2_BUF_HOST, &buf), EINVAL);
    assert_error(ros2_buf_register(client, memory, 1, 4, ROS2_BUF_HOST, &buf), EINVAL);
    assert_error(ros2_buf_register(client, memory, 1, both, 2, &buf), EINVAL);
    assert_error(ros2_buf_register(client, memory, 1, both, ROS2_BUF_CUDA, &buf), ENOTSUP);
    assert_null(buf);
}

static void each_kind_of_buffer_has_its_own_end(void **state)
{
    static uint8_t memory[8192];
    struct ros2_buf *allocated, *registered;

    (void)state;
    alloc(1, &allocated);
    assert_error(ros2_buf_unregister(allocated), EINVAL);
    int rc = ros2_buf_register(client, memory, sizeof(memory), ROS2_BUF_TARGET, ROS2_BUF_HOST,
                               &registered);
    if (rc != -ENOTSUP) { /* shm takes none */
        assert_ok(rc);
        assert_ptr_equal(ros2_buf_addr(registered), memory);
        assert_error(ros2_buf_free(registered), EINVAL);
        assert_ok(ros2_buf_unregister(registered));
    }
    assert_ok(ros2_buf_free(allocated));
    assert_ok(ros2_buf_unregister(NULL));
}

static void *read_into(void *arg)
{
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    bool good = true;

    for (int i = 0; i < 200 && good; i++)
        good = ros2_pread(file, arg, LEN, 0) == LEN && memcmp(arg, data, LEN) == 0;
    ros2_close(file);
    return good ? arg : NULL;
}

static void freeing_one_buffer_leaves_the_reads_of_others_alone(void **state)
{
    struct ros2_buf *used;
    uint8_t *bytes = alloc(LEN, &used);
    pthread_t thread;
    void *result;

    (void)state;
    pthread_create(&thread, NULL, read_into, bytes);
    for (int i = 0; i < 200; i++) {
        struct ros2_buf *buf;
        alloc(1 + (size_t)i * 1000, &buf);
        assert_ok(ros2_buf_free(buf));
    }
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_ok(ros2_buf_free(used));
}

/* The loop sleeps on the descriptor; what it waits for comes while this thread waits for the buffer. */
static void a_loop_hears_of_what_ended_while_a_buffer_was_freed(void **state)
{
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    struct ros2_completion done;
    struct ros2_queue *queue;
    struct ros2_buf *buf;

    (void)state;
    assert_ok(ros2_queue_create(client, 4, NULL, &queue));
    struct pollfd loop = {.fd = ros2_queue_fd(queue), .events = POLLIN};
    assert_true(loop.fd >= 0);
    for (int i = 0; i < 50; i++) {
        assert_ok(ros2_prepare_read(queue, file, alloc(LEN, &buf), LEN, 0, 0, 0));
        assert_int_equal(ros2_queue_submit(queue), 1);
        assert_ok(ros2_buf_free(buf));
        /* Not only when the next thing is due by the clock. */
        assert_int_equal(poll(&loop, 1, 0), 1);
        assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, ROS2_FOREVER), 1);
        assert_int_equal(done.result, LEN);
    }
    ros2_queue_destroy(queue);
    ros2_close(file);
}

static void a_child_has_no_part_in_it(void **state)
{
    struct ros2_buf *buf;
    uint8_t *bytes = alloc(LEN, &buf);

    (void)state;
    memcpy(bytes, data, LEN);
    pid_t child = fork();
    if (child == 0) {
        struct ros2_buf *own;
        bool gone = msync(bytes, 4096, MS_ASYNC) < 0 && errno == ENOMEM;
        bool good = ros2_buf_free(buf) == 0 && ros2_buf_alloc(client, LEN, NULL, &own) == 0 &&
                    read_into(ros2_buf_addr(own)) != NULL && ros2_buf_free(own) == 0;
        _exit(gone && good ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_memory_equal(bytes, data, LEN);
    assert_non_null(read_into(bytes));
    assert_ok(ros2_buf_free(buf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_zeroed_and_page_aligned),
        cmocka_unit_test(what_makes_no_buffer_is_refused),
        cmocka_unit_test(data_lands_in_a_buffer_wherever_it_starts),
        cmocka_unit_test(appends_from_a_buffer_stay_in_one_piece),
        cmocka_unit_test(registering_says_what_cannot_be_taken),
        cmocka_unit_test(each_kind_of_buffer_has_its_own_end),
        cmocka_unit_test(freeing_one_buffer_leaves_the_reads_of_others_alone),
        cmocka_unit_test(a_loop_hears_of_what_ended_while_a_buffer_was_freed),
        cmocka_unit_test(a_child_has_no_part_in_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
