/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the caller's own that is registered: the daemon is told of it once for each queue, counts it, and is told when it
 * is gone. A daemon with room for REGIONS makes that visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN     700001u
#define REGIONS 6
#define BOTH    (ROS2_BUF_SOURCE | ROS2_BUF_TARGET)
#define S       1000000000ull

static struct daemon d;
static struct ros2_client *client;
static struct ros2_file *file;
static uint8_t data[LEN], memory[2 * LEN];

static int setup(void **state)
{
    char more[100];
    (void)state;
    setenv("ROS2_TEST_TRANSPORT", "tcp", 1); /* shm takes no registered memory */
    snprintf(more, sizeof(more), "limits:\n  regions: %d\n", REGIONS);
    daemon_start_with(&d, "", more);
    pattern(data, LEN, 5);
    store_write(&d, "data", data, LEN);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    daemon_stop(&d);
    return 0;
}

/* The end of a session leaves nothing to the next case. */
static int begin_case(void **state)
{
    (void)state;
    client = daemon_connect(&d);
    file = must_open(client, "/data", O_RDWR);
    assert_int_equal(ros2_pread(file, memory, LEN, 0), LEN); /* this thread has its queue */
    return 0;
}

static int end_case(void **state)
{
    (void)state;
    kill(d.pid, SIGCONT); /* after a failure, too */
    ros2_close(file);
    ros2_disconnect(client);
    return 0;
}

static struct ros2_buf *registered(void *addr, size_t len)
{
    struct ros2_buf *buf;
    assert_ok(ros2_buf_register(client, addr, len, BOTH, ROS2_BUF_HOST, &buf));
    return buf;
}

/* So many the daemon has room for now. */
static unsigned room(void)
{
    struct ros2_buf *buf[REGIONS + 1];
    unsigned count = 0;
    while (count <= REGIONS &&
           ros2_buf_register(client, memory + count, 1, BOTH, ROS2_BUF_HOST, &buf[count]) == 0)
        count++;
    for (unsigned i = 0; i < count; i++)
        assert_ok(ros2_buf_unregister(buf[i]));
    return count;
}

/* The client's worker may still be telling the daemon of queues. */
static bool has_room_for(unsigned regions)
{
    uint64_t end_ns = real_ns() + 20 * S;
    unsigned count;
    while ((count = room()) != regions && real_ns() < end_ns)
        ;
    return count == regions;
}

static bool reads_well(uint8_t *to)
{
    memset(to, 0, LEN);
    return ros2_pread(file, to, LEN, 0) == LEN && memcmp(to, data, LEN) == 0;
}

static void the_daemon_counts_what_is_registered(void **state)
{
    struct ros2_buf *buf[REGIONS], *more = NULL;
    (void)state;
    for (int i = 0; i < REGIONS; i++)
        buf[i] = registered(memory + i, LEN);
    assert_error(ros2_buf_register(client, memory, 1, BOTH, ROS2_BUF_HOST, &more), EDQUOT);
    assert_non_null(strstr(ros2_error(), "limits.regions"));
    assert_null(more);
    assert_true(reads_well(memory));
    assert_ok(ros2_buf_unregister(buf[0]));
    more = registered(memory, LEN);
    for (int i = 1; i < REGIONS; i++)
        assert_ok(ros2_buf_unregister(buf[i]));
    assert_ok(ros2_buf_unregister(more));
    assert_true(has_room_for(REGIONS));
}

static void all_kinds_of_transfers_use_it(void **state)
{
    struct ros2_buf *buf = registered(memory, sizeof(memory));
    struct ros2_file *copy = must_open(client, "/copy", O_RDWR | O_CREAT | O_TRUNC);
    struct ros2_batch_item item[50];
    struct ros2_queue *queue;
    struct ros2_completion done[2];
    (void)state;
    assert_true(reads_well(memory + 3));
    assert_int_equal(ros2_pwrite(copy, memory + 3, LEN, 0), LEN);
    assert_int_equal(ros2_pread(copy, memory + LEN, LEN, 0), LEN);
    assert_memory_equal(memory + LEN, data, LEN);

    memset(memory, 0, sizeof(memory));
    memset(item, 0, sizeof(item));
    for (size_t i = 0; i < 50; i++)
        item[i] = (struct ros2_batch_item){
            .path = "/data", .offset = i * 14000, .len = 14000, .buf = memory + i * 14000};
    assert_int_equal(ros2_batch_read(client, item, 50, NULL), 50);
    assert_memory_equal(memory, data, 50 * 14000);

    memset(memory, 0, sizeof(memory));
    assert_ok(ros2_queue_create(client, 4, NULL, &queue));
    assert_ok(ros2_prepare_read(queue, file, memory, LEN, 0, 1, 0));
    assert_ok(ros2_prepare_write(queue, copy, memory + LEN, LEN - 1, 0, 2, 0));
    assert_int_equal(ros2_queue_submit(queue), 2);
    assert_int_equal(ros2_queue_reap(queue, done, 2, 2, UINT64_MAX), 2);
    assert_memory_equal(memory, data, LEN);
    ros2_queue_destroy(queue);
    ros2_close(copy);
    assert_ok(ros2_buf_unregister(buf));
    assert_true(has_room_for(REGIONS));
}

static void *read_once(void *arg)
{
    return reads_well(arg) ? arg : NULL;
}

/* Each thread has a queue, and its end is the end of its regions. */
static void threads_leave_nothing_behind(void **state)
{
    struct ros2_buf *buf[2] = {registered(memory, LEN), registered(memory + LEN, LEN)};
    (void)state;
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        void *good;
        pthread_create(&thread, NULL, read_once, memory);
        pthread_join(thread, &good);
        assert_non_null(good);
    }
    for (int i = 0; i < 2; i++)
        assert_ok(ros2_buf_unregister(buf[i]));
    assert_true(has_room_for(REGIONS));
}

/* Where the daemon has no room left for a queue's regions, its reads are as before. */
static void a_queue_goes_without(void **state)
{
    struct ros2_buf *buf[REGIONS];
    pthread_t thread;
    void *good;
    (void)state;
    for (int i = 0; i < REGIONS; i++)
        buf[i] = registered(memory + (size_t)i * 1000, LEN);
    pthread_create(&thread, NULL, read_once, memory + 500);
    pthread_join(thread, &good);
    assert_non_null(good);
    for (int i = 0; i < REGIONS; i++)
        assert_ok(ros2_buf_unregister(buf[i]));
    assert_true(has_room_for(REGIONS));
}

static _Atomic bool stop;

static void *read_all_the_time(void *arg)
{
    bool good = true;
    while (good && !atomic_load(&stop))
        good = reads_well(arg);
    return good ? arg : NULL;
}

/* Of the very memory that they read into. Every third time the daemon has no room for all, and whenever it has not yet been told
 * of all that is gone. */
static void registering_goes_on_beside_reads_of_others(void **state)
{
    struct ros2_buf *fill[REGIONS], *buf[2];
    pthread_t thread[2];
    unsigned registered_well = 0;
    void *good;
    (void)state;
    atomic_store(&stop, false);
    for (size_t i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, read_all_the_time, memory + i * LEN);
    for (int i = 0; i < 60; i++) {
        unsigned filled = 0;
        if (i % 3 == 2)
            while (filled < REGIONS &&
                   ros2_buf_register(client, data, 1, BOTH, ROS2_BUF_HOST, &fill[filled]) == 0)
                filled++;
        for (size_t k = 0; k < 2; k++) {
            buf[k] = NULL;
            int rc = ros2_buf_register(client, memory + k * LEN, LEN, BOTH, ROS2_BUF_HOST, &buf[k]);
            if (rc != -EDQUOT)
                assert_ok(rc);
            registered_well += rc == 0;
        }
        while (filled > 0)
            assert_ok(ros2_buf_unregister(fill[--filled]));
        for (size_t k = 0; k < 2; k++)
            assert_ok(ros2_buf_unregister(buf[k]));
    }
    assert_true(registered_well > 0);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], &good);
        assert_non_null(good);
    }
    assert_true(has_room_for(REGIONS));
}

static void a_child_takes_it_for_ordinary_memory(void **state)
{
    struct ros2_buf *buf = registered(memory, LEN);
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        bool good = reads_well(memory) && ros2_buf_unregister(buf) == 0 && reads_well(memory) &&
                    has_room_for(REGIONS - 1);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_true(reads_well(memory));
    assert_ok(ros2_buf_unregister(buf));
    assert_true(has_room_for(REGIONS));
}

/* -- the daemon does not answer -- */

struct waiter {
    struct ros2_client *client;
    struct ros2_file *file;
    uint8_t *taken, *other;
    _Atomic bool connected, stopped, waits;
    int64_t taken_result, other_result;
    uint64_t taken_ns;
};

/* Two reads with time enough; the first one's memory is unregistered by another thread. */
static void *wait_for_two(void *arg)
{
    struct waiter *w = arg;
    struct ros2_queue *queue;
    struct ros2_completion done;
    assert_ok(ros2_queue_create(w->client, 4, NULL, &queue));
    assert_ok(ros2_prepare_read(queue, w->file, w->other, 10, 0, 0, 60 * S));
    assert_int_equal(ros2_queue_submit(queue), 1);
    assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, 60 * S), 1);
    atomic_store(&w->connected, true);
    while (!atomic_load(&w->stopped))
        sched_yield();
    assert_ok(ros2_prepare_read(queue, w->file, w->taken, LEN, 0, 1, 60 * S));
    assert_ok(ros2_prepare_read(queue, w->file, w->other, LEN, 0, 2, 60 * S));
    assert_int_equal(ros2_queue_submit(queue), 2);
    atomic_store(&w->waits, true);
    assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, 60 * S), 1);
    w->taken_ns = real_ns();
    assert_int_equal(done.user_data, 1);
    w->taken_result = done.result;
    assert_int_equal(ros2_queue_reap(queue, &done, 1, 1, 60 * S), 1);
    w->other_result = done.result;
    ros2_queue_destroy(queue);
    return NULL;
}

static void unregistering_breaks_what_another_thread_has_in_flight(void **state)
{
    struct ros2_connect_options options = daemon_options(&d);
    struct waiter w = {.taken = memory, .other = memory + LEN};
    struct ros2_buf *buf;
    pthread_t thread;
    int status;
    (void)state;
    options.timeout_ns = 2 * S;
    w.client = daemon_connect_with(&d, &options);
    w.file = must_open(w.client, "/data", O_RDONLY);
    assert_ok(ros2_buf_register(w.client, memory, LEN, BOTH, ROS2_BUF_HOST, &buf));
    pthread_create(&thread, NULL, wait_for_two, &w);
    while (!atomic_load(&w.connected))
        sched_yield();
    assert_int_equal(kill(d.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(d.pid, &status, WUNTRACED), d.pid);
    atomic_store(&w.stopped, true);
    while (!atomic_load(&w.waits))
        sched_yield();
    assert_ok(ros2_buf_unregister(buf));
    uint64_t unregistered_ns = real_ns();
    memset(memory, 0xee, LEN);
    assert_int_equal(kill(d.pid, SIGCONT), 0);
    pthread_join(thread, NULL);
    assert_int_equal(w.taken_result, -ECANCELED);
    assert_true(w.taken_ns <
                unregistered_ns + 20 * S); /* not at its deadline, which is 60 s away */
    assert_int_equal(w.other_result, LEN);
    assert_memory_equal(w.other, data, LEN);
    for (size_t i = 0; i < LEN; i++)
        if (memory[i] != 0xee)
            fail_msg("byte %zu was written after it was unregistered", i);
    ros2_close(w.file);
    ros2_disconnect(w.client);
    assert_true(has_room_for(
        REGIONS)); /* the session's end tells the daemon what unregistering could not */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin_case, end_case)
    const struct CMUnitTest tests[] = {
        CASE(the_daemon_counts_what_is_registered),
        CASE(all_kinds_of_transfers_use_it),
        CASE(threads_leave_nothing_behind),
        CASE(a_queue_goes_without),
        CASE(registering_goes_on_beside_reads_of_others),
        CASE(a_child_takes_it_for_ordinary_memory),
        CASE(unregistering_breaks_what_another_thread_has_in_flight),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
