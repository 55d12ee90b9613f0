/* SPDX-License-Identifier: Apache-2.0 */
/* Batches over slow and failing files, lost connections and dead daemons: every call ends in time, what came is good, no buffer
 * is touched afterwards, and no file stays open at the daemon. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/batch_store.h"

#define FILES 600u
#define MS    1000000ull

static struct daemon d;
static struct ros2_client *client;

static void start(const char *faults, uint64_t timeout_ns)
{
    daemon_start(&d, faults);
    batch_write_files(&d, FILES);
    struct ros2_connect_options options = daemon_options(&d);
    options.timeout_ns = timeout_ns;
    client = daemon_connect_with(&d, &options);
}

static int stop(void **state)
{
    (void)state;
    ros2_disconnect(client);
    daemon_stop(&d);
    return 0;
}

static bool is_held(unsigned file) /* "f13" is in the path */
{
    return file == 13 || file / 10 == 13;
}

static void spoil(struct batch *b)
{
    memset(b->memory, UNSET, b->memory_len + 1);
}

static void assert_untouched(const struct batch *b)
{
    assert_ok(ros2_ping(client, NULL)); /* runs whatever came in late */
    for (size_t i = 0; i <= b->memory_len; i++)
        if (b->memory[i] != UNSET)
            fail_msg("byte %zu was written to", i);
}

static void what_is_held_times_out_and_the_rest_is_there(void **state)
{
    struct batch b;
    (void)state;
    start("read:path=f13:while=HOLD", 60000 * MS);
    struct ros2_batch_options options = {.size = sizeof(options), .timeout_ns = 300 * MS};
    for (size_t gap = 0; gap < 2; gap++) {
        daemon_hold(&d);
        batch_make(&b, FILES, 0, 1, 0, gap);
        uint64_t begin = real_ns();
        int n = ros2_batch_read(client, b.item, b.count, &options);
        assert_in_range((real_ns() - begin) / MS, 290, 4000);
        assert_true(n > 0 && n < (int)FILES);
        assert_non_null(strstr(ros2_error(), "deadline"));
        for (size_t i = 0; i < b.count; i++) {
            if (b.item[i].result == -ETIMEDOUT)
                continue; /* it was in one request with one that is held */
            assert_false(is_held(b.file[i]) && batch_size(b.file[i]) > 0);
            batch_check(&b, i);
        }
        assert_int_equal(b.item[130].result, -ETIMEDOUT);
        spoil(&b);
        daemon_release(&d);
        batch_await_closed(&d, client); /* so the engine is done with them */
        assert_untouched(&b);
        assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), FILES);
        batch_check_all(&b);
        batch_free(&b);
    }
    batch_await_closed(&d, client);
}

static void enough_is_enough(void **state)
{
    struct batch b;
    (void)state;
    start("read:path=f13:while=HOLD", 60000 * MS);
    struct ros2_batch_options options = {.size = sizeof(options), .min_done = 200};
    daemon_hold(&d);
    batch_make(&b, FILES, 0, 1, 0, 1);
    int n = ros2_batch_read(client, b.item, b.count, &options);
    assert_true(n >= 200 && n < (int)FILES);
    assert_non_null(strstr(ros2_error(), "cancelled"));
    for (size_t i = 0; i < b.count; i++) {
        if (b.item[i].result != -ECANCELED)
            batch_check(&b, i);
    }
    spoil(&b);
    daemon_release(&d);
    batch_await_closed(&d, client);
    assert_untouched(&b);
    options.min_done = FILES + 1; /* all */
    assert_int_equal(ros2_batch_read(client, b.item, b.count, &options), FILES);
    batch_check_all(&b);
    batch_free(&b);
}

static void errors_of_the_engine_stay_with_their_items(void **state)
{
    struct batch b;
    (void)state;
    start("read:path=f13:errno=EIO,open:path=f27:errno=EACCES", 60000 * MS);
    batch_make(&b, 400, 0, 1, 0, 0);
    assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), 400 - 11 - 11);
    assert_non_null(strstr(ros2_error(), "22 of 400 items failed; item 13, /f13: "));
    for (size_t i = 0; i < b.count; i++) {
        unsigned file = b.file[i];
        if (file == 27 || file / 10 == 27)
            assert_int_equal(b.item[i].result, -EACCES);
        else if (is_held(file) && batch_size(file) > 0)
            assert_int_equal(b.item[i].result, -EIO);
        else
            batch_check(&b, i);
    }
    batch_free(&b);
    batch_await_closed(&d, client);
}

/* -- lost connections -- */

static _Atomic bool cutting;

static void *cut_again_and_again(void *arg)
{
    (void)arg;
    while (atomic_load(&cutting)) {
        daemon_cut_channels(&d);
        usleep(5000);
    }
    return NULL;
}

static void lost_connections_are_made_again_under_the_call(void **state)
{
    struct batch b;
    pthread_t cutter;
    (void)state;
    start("*:path=nothing-has-this-name:errno=EIO", 60000 * MS);
    atomic_store(&cutting, true);
    pthread_create(&cutter, NULL, cut_again_and_again, NULL);
    for (unsigned i = 0; i < 40; i++) {
        batch_make(&b, 300 - i, i, 2, 0, i % 2);
        int n = ros2_batch_read(client, b.item, b.count, NULL);
        if (n != (int)b.count)
            fail_msg("batch %u: %d, %s", i, n, ros2_error());
        batch_check_all(&b);
        batch_free(&b);
    }
    atomic_store(&cutting, false);
    pthread_join(cutter, NULL);
    batch_await_closed(&d, client);
}

static void *cut_once_held(void *arg)
{
    (void)arg;
    while (batch_open_at_daemon(&d) < 100) /* opened, so its reads come now */
        usleep(1000);
    usleep(100000);
    daemon_cut_channels(&d);
    daemon_release(&d);
    return NULL;
}

static void what_was_in_flight_is_asked_again(void **state)
{
    struct batch b;
    pthread_t cutter;
    (void)state;
    start("read:path=f13:while=HOLD", 60000 * MS);
    daemon_hold(&d);
    pthread_create(&cutter, NULL, cut_once_held, NULL);
    batch_make(&b, 400, 0, 1, 0, 1);
    assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), 400);
    batch_check_all(&b);
    pthread_join(cutter, NULL);
    batch_free(&b);
    batch_await_closed(&d, client);
}

static void a_daemon_killed_or_stopped_ends_calls_by_their_deadline(void **state)
{
    struct batch b;
    (void)state;
    start("*:path=nothing-has-this-name:errno=EIO", 1000 * MS);
    batch_make(&b, 100, 0, 1, 0, 0);
    assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), 100);
    struct ros2_file *file = must_open(client, "/f0", O_RDONLY);
    b.item[0].path = NULL;
    b.item[0].file = file;
    kill(d.pid, SIGSTOP);
    waitpid(d.pid, NULL, WUNTRACED);
    uint64_t begin = real_ns();
    assert_error(ros2_batch_read(client, b.item, 1, NULL), ETIMEDOUT);
    assert_true(ros2_batch_read(client, b.item, b.count, NULL) < 0);
    assert_in_range((real_ns() - begin) / MS, 1900, 6000);
    kill(d.pid, SIGCONT);
    assert_int_equal(ros2_batch_read(client, b.item, b.count, NULL), 100);
    batch_check_all(&b);
    daemon_kill(&d);
    begin = real_ns();
    assert_true(ros2_batch_read(client, b.item, b.count, NULL) < 0);
    assert_true(ros2_batch_read(client, b.item, 1, NULL) < 0);
    assert_in_range((real_ns() - begin) / MS, 0, 6000);
    ros2_close(file);
    batch_free(&b);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_held_times_out_and_the_rest_is_there),
        TEST(enough_is_enough),
        TEST(errors_of_the_engine_stay_with_their_items),
        TEST(lost_connections_are_made_again_under_the_call),
        TEST(what_was_in_flight_is_asked_again),
        TEST(a_daemon_killed_or_stopped_ends_calls_by_their_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
