/* SPDX-License-Identifier: Apache-2.0 */
/* ros2_batch_read() reads what it is told, item by item, in two round trips, and leaves nothing open. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/batch_store.h"

#define FILES 4096u

static struct ros2_client *client;

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char logged[300]; /* the last batch's line */

static void take_log(void *arg, int level, const char *outlet, const char *line)
{
    (void)arg;
    (void)level;
    (void)outlet;
    pthread_mutex_lock(&log_lock);
    if (strstr(line, "batch items"))
        snprintf(logged, sizeof(logged), "%s", line);
    pthread_mutex_unlock(&log_lock);
}

static int setup(void **state)
{
    daemon_group_setup(state);
    batch_write_files(*state, FILES);
    ros2_log_callback(take_log, NULL, 3);
    client = daemon_connect(*state);
    return 0;
}

static int teardown(void **state)
{
    ros2_disconnect(client);
    return daemon_group_teardown(state);
}

static void thousands_of_files_come_in_one_call(void **state)
{
    struct batch b;
    for (size_t gap = 0; gap < 2; gap++) { /* side by side; apart */
        batch_make(&b, FILES, 0, 1, 0, gap);
        assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), FILES);
        batch_check_all(&b);
        batch_free(&b);
        assert_non_null(strstr(logged, "failed 0 control calls 1 "));
    }
    batch_await_closed(*state, client);
}

/* As samples of Fashion-MNIST into slots of a KiB: in one call, then all asked for at once. */
static void thousands_of_small_files_take_two_round_trips(void **state)
{
    for (size_t slot = 784; slot <= 1024; slot += 240)
        for (size_t gap = 0; gap <= 300; gap += 300) {
            struct batch b;
            batch_make(&b, FILES, 0, 1, slot, gap);
            assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), FILES);
            for (size_t i = 0; i < b.count; i++)
                batch_check(&b, i);
            batch_free(&b);
            assert_non_null(strstr(logged, "failed 0 control calls 1 requests "));
            assert_non_null(strstr(logged, " later 0"));
        }
    batch_await_closed(*state, client);
}

static void batches_of_any_size_and_order_come_out_right(void **state)
{
    static const size_t slots[] = {0, 784, 1, 4096, 70000};
    static const size_t counts[] = {1, 2, 63, 300, 1500};
    struct batch b;
    for (size_t s = 0; s < 5; s++)
        for (size_t c = 0; c < 5; c++)
            for (size_t gap = 0; gap <= 100; gap += 100) {
                batch_make(&b, counts[c], (unsigned)(s * 7 + c), 2, slots[s], gap);
                assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), counts[c]);
                for (size_t i = 0; i < b.count; i++)
                    batch_check(&b, i);
                batch_free(&b);
            }
    batch_await_closed(*state, client);
}

static void open_files_and_paths_mix(void **state)
{
    struct batch b;
    struct ros2_file *file[40];
    char path[16];
    batch_make(&b, 120, 0, 1, 20000, 3);
    for (size_t i = 0; i < 120; i++) {
        if (i % 3 == 0) {
            snprintf(path, sizeof(path), "/f%zu", i);
            file[i / 3] = must_open(client, path, O_RDONLY);
            b.item[i].file = file[i / 3];
            b.item[i].path = NULL;
        }
        b.item[i].offset = i % 5 * 50;
    }
    assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), 120);
    for (size_t i = 0; i < 120; i++)
        batch_check(&b, i);
    batch_free(&b);
    for (size_t i = 0; i < 40; i++)
        ros2_close(file[i]);
    batch_await_closed(*state, client);
}

static void what_fails_fails_alone(void **state)
{
    const struct daemon *d = *state;
    struct batch b;
    mkdir(store_path(d, "dir"), 0755);
    struct ros2_file *dir = must_open(client, "/dir", O_RDONLY),
                     *wo = must_open(client, "/out", O_WRONLY | O_CREAT);
    batch_make(&b, 40, 0, 1, 0, 1);
    b.item[3].path = "/missing";
    b.item[5].path = "/dir";
    b.item[7].path = "/dir/";
    b.item[9].path = "/f9/";
    b.item[11].path = "relative";
    b.item[13].path = NULL;
    b.item[15].file = dir;
    b.item[17].path = NULL;
    b.item[17].file = dir;
    b.item[19].path = NULL;
    b.item[19].file = wo;
    b.item[23].offset = INT64_MAX;
    b.item[25].buf = NULL;
    b.item[27].path = "";
    b.item[29].path = "//.//dir/../f29";
    b.item[31].path = b.item[30].path; /* twice */
    b.item[31].buf = b.memory + b.memory_len - b.item[31].len;
    b.item[39].path = "/f38";
    b.item[39].len = 0;
    b.file[39] = 38;
    assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), 28);
    assert_non_null(strstr(ros2_error(), "batch read: 12 of 40 items failed; item 3, /missing: "));
    static const struct {
        size_t i;
        int err;
    } failed[] = {{3, ENOENT},  {5, EISDIR},  {7, EISDIR},  {9, ENOTDIR},
                  {11, EINVAL}, {13, EINVAL}, {15, EINVAL}, {17, EISDIR},
                  {19, EBADF},  {23, EINVAL}, {25, EFAULT}, {27, ENOENT}};
    for (size_t i = 0, k = 0; i < b.count; i++) {
        if (k < 12 && failed[k].i == i) {
            if (b.item[i].result != -failed[k].err)
                fail_msg("item %zu: %lld", i, (long long)b.item[i].result);
            k++;
        } else if (i != 31) {
            batch_check(&b, i);
        }
    }
    batch_free(&b);
    ros2_close(dir);
    ros2_close(wo);
    batch_await_closed(d, client);
}

static void calls_out_of_bounds_are_refused(void **state)
{
    struct ros2_batch_item item = {.path = "/missing", .result = 77};
    struct ros2_batch_options options = {.size = 8};
    (void)state;
    assert_error(ros2_batch_read(client, &item, 0, NULL), EINVAL);
    assert_error(ros2_batch_read(client, &item, ROS2_BATCH_MAX + 1, NULL), EINVAL);
    assert_error(ros2_batch_read(client, NULL, 1, NULL), EINVAL);
    assert_error(ros2_batch_read(NULL, &item, 1, NULL), EINVAL);
    assert_error(ros2_batch_read(client, &item, 1, &options), EINVAL);
    assert_int_equal(item.result, 77);
    assert_error(ros2_batch_read(client, &item, 1, NULL), ENOENT);
    assert_non_null(strstr(ros2_error(), "item 0, /missing: "));
}

static void files_of_other_clients_are_refused(void **state)
{
    struct ros2_client *other = daemon_connect(*state);
    struct ros2_file *file = must_open(other, "/f0", O_RDONLY);
    uint8_t byte;
    struct ros2_batch_item item = {.file = file, .buf = &byte, .len = 1};
    assert_error(ros2_batch_read(client, &item, 1, NULL), EINVAL);
    ros2_close(file);
    ros2_disconnect(other);
}

/* -- threads, processes -- */

static void read_some(unsigned seed, unsigned rounds)
{
    struct batch b;
    for (unsigned i = 0; i < rounds; i++) {
        batch_make(&b, 200 + i, seed * 100 + i, 3, i % 2 ? 0 : 5000, i % 3);
        for (size_t k = 0; k < b.count; k++)
            if (batch_size(b.file[k]) > 100000) /* batch_bytes() has one memory for all threads */
                b.item[k].len = 0;
        if (ros2_batch_read(client, b.item, b.count, NULL) != (int)b.count)
            abort();
        for (size_t k = 0; k < b.count; k++) {
            uint8_t bytes[100000];
            size_t size = batch_size(b.file[k]), want = size < b.item[k].len ? size : b.item[k].len;
            if (want > 0)
                pattern(bytes, want, b.file[k]);
            if (b.item[k].result != (int64_t)want || memcmp(b.item[k].buf, bytes, want) != 0)
                abort();
        }
        batch_free(&b);
    }
}

static void *read_in_thread(void *arg)
{
    read_some(*(unsigned *)arg, 20);
    return NULL;
}

static void threads_read_at_once(void **state)
{
    pthread_t thread[4];
    unsigned seed[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_in_thread, &seed[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    batch_await_closed(*state, client);
}

static void a_forked_child_reads_too(void **state)
{
    struct batch b;
    int status;
    read_some(5, 1);
    pid_t pid = fork();
    if (pid == 0) {
        read_some(6, 5);
        _exit(0);
    }
    read_some(7, 5);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    batch_make(&b, 100, 0, 1, 0, 0);
    assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), 100);
    batch_check_all(&b);
    batch_free(&b);
    batch_await_closed(*state, client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_of_files_come_in_one_call),
        cmocka_unit_test(thousands_of_small_files_take_two_round_trips),
        cmocka_unit_test(batches_of_any_size_and_order_come_out_right),
        cmocka_unit_test(open_files_and_paths_mix),
        cmocka_unit_test(what_fails_fails_alone),
        cmocka_unit_test(calls_out_of_bounds_are_refused),
        cmocka_unit_test(files_of_other_clients_are_refused),
        cmocka_unit_test(threads_read_at_once),
        cmocka_unit_test(a_forked_child_reads_too),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
