/* SPDX-License-Identifier: Apache-2.0 */
/* Slow, failing and dead daemons, lost connections, signals: every call ends, in time, and leaves the buffer alone. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN 200000u
#define MS  1000000ull

static struct daemon d;
static uint8_t data[LEN];

static void start(const char *faults)
{
    daemon_start(&d, faults);
    pattern(data, LEN, 11);
    store_write(&d, "data", data, LEN);
}

static _Atomic bool cutting;

static int stop(void **state)
{
    (void)state;
    atomic_store(&cutting, false);
    daemon_stop(&d);
    return 0;
}

static struct ros2_client *connect_for(uint64_t timeout_ns)
{
    struct ros2_connect_options options = daemon_options(&d);
    options.timeout_ns = timeout_ns;
    return daemon_connect_with(&d, &options);
}

static void assert_filled(const uint8_t *buf, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++)
        if (buf[i] != value)
            fail_msg("byte %zu is 0x%02x", i, buf[i]);
}

static void a_read_that_is_held_times_out_and_lands_nowhere(void **state)
{
    (void)state;
    start("read:path=data:while=HOLD");
    static uint8_t buf[LEN];
    struct ros2_client *client = connect_for(500 * MS);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    static const size_t sizes[] = {100, LEN};
    for (size_t i = 0; i < 2; i++) {
        daemon_hold(&d);
        uint64_t begin = real_ns();
        assert_error(ros2_pread(file, buf, sizes[i], 0), ETIMEDOUT);
        assert_in_range((real_ns() - begin) / MS, 490, 4000);
        memset(buf, 0xee, LEN);
        daemon_release(&d);
        usleep(100000);
        assert_ok(ros2_ping(client, NULL)); /* runs whatever came in late */
        assert_filled(buf, LEN, 0xee);
        assert_int_equal(ros2_pread(file, buf, sizes[i], 0), sizes[i]);
        assert_memory_equal(buf, data, sizes[i]);
    }
    ros2_close(file);
    ros2_disconnect(client);
}

static void a_write_that_is_held_times_out(void **state)
{
    (void)state;
    start("write:path=out:while=HOLD");
    static uint8_t buf[LEN];
    struct ros2_client *client = connect_for(500 * MS);
    struct ros2_file *file = must_open(client, "/out", O_RDWR | O_CREAT);
    daemon_hold(&d);
    uint64_t begin = real_ns();
    memset(buf, 0x11, LEN);
    assert_error(ros2_pwrite(file, buf, LEN, 0), ETIMEDOUT);
    assert_in_range((real_ns() - begin) / MS, 490, 4000);
    memset(buf, 0x22, LEN);
    daemon_release(&d);
    usleep(100000);
    assert_ok(ros2_ping(client, NULL));
    size_t len;
    uint8_t *stored = store_read(&d, "out", &len);
    for (size_t i = 0; i < len; i++)
        assert_int_not_equal(stored[i], 0x22); /* the buffer was ours again */
    free(stored);
    ros2_close(file);
    ros2_disconnect(client);
}

static void errors_of_the_engine_come_through(void **state)
{
    (void)state;
    start("write:path=full:errno=ENOSPC,read:path=bad:errno=EIO,fsync:path=sync:errno=EIO:times=1,"
          "open:path=never:errno=EACCES,open:path=signal:errno=EINTR,mkdir:path=signal:errno=EINTR,"
          "mkdir:path=locked:errno=ENOKEY");
    char buf[10000] = {0};
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_file *file = must_open(client, "/full", O_RDWR | O_CREAT);
    assert_error(ros2_pwrite(file, buf, sizeof(buf), 0), ENOSPC);
    assert_non_null(strstr(ros2_error(), "pwrite /full: "));
    ros2_close(file);
    store_write(&d, "bad", buf, sizeof(buf));
    file = must_open(client, "/bad", O_RDONLY);
    assert_error(ros2_pread(file, buf, sizeof(buf), 0), EIO);
    assert_error(ros2_pread(file, buf, 10, 0), EIO);
    ros2_close(file);
    file = must_open(client, "/sync", O_RDWR | O_CREAT);
    assert_error(ros2_fsync(file), EIO);
    assert_ok(ros2_fsync(file));
    ros2_close(file);
    assert_error(ros2_open(client, "/never", O_RDONLY | O_CREAT, 0600, &file), EACCES);
    assert_error(ros2_open(client, "/signal", O_RDONLY | O_CREAT, 0600, &file), EIO);
    assert_error(ros2_mkdir(client, "/signal", 0700), EIO);
    assert_error(ros2_mkdir(client, "/locked", 0700), EIO); /* not: the session is gone */
    ros2_disconnect(client);
}

static void a_read_only_token_reads_only(void **state)
{
    (void)state;
    start("*:path=nothing-has-this-name:errno=EIO");
    char byte;
    struct ros2_connect_options options = daemon_options(&d);
    options.token_file = d.ro_token_file;
    struct ros2_client *client = daemon_connect_with(&d, &options);
    struct ros2_file *file;
    assert_error(ros2_open(client, "/data", O_RDWR, 0, &file), EACCES);
    assert_error(ros2_open(client, "/new", O_WRONLY | O_CREAT, 0600, &file), EACCES);
    assert_error(ros2_mkdir(client, "/dir", 0755), EACCES);
    assert_error(ros2_unlink(client, "/data"), EACCES);
    assert_error(ros2_rename(client, "/data", "/x"), EACCES);
    file = must_open(client, "/data", O_RDONLY);
    assert_int_equal(ros2_pread(file, &byte, 1, 0), 1);
    ros2_close(file);
    ros2_disconnect(client);
}

static void a_daemon_killed_ends_calls_by_their_deadline(void **state)
{
    (void)state;
    start("*:path=nothing-has-this-name:errno=EIO");
    static uint8_t buf[LEN];
    struct stat st;
    struct ros2_client *client = connect_for(1000 * MS);
    struct ros2_file *file = must_open(client, "/data", O_RDWR);
    assert_int_equal(ros2_pread(file, buf, LEN, 0), LEN);
    daemon_kill(&d);
    uint64_t begin = real_ns();
    assert_true(ros2_pread(file, buf, LEN, 0) < 0);
    assert_true(ros2_pwrite(file, buf, 10, 0) < 0);
    assert_true(ros2_fsync(file) < 0);
    assert_true(ros2_fstat(file, &st) < 0);
    assert_true(ros2_ping(client, NULL) < 0);
    assert_in_range((real_ns() - begin) / MS, 0, 5 * 2500);
    assert_int_equal(ros2_close(file), 0);
    ros2_disconnect(client);
}

static void a_stopped_daemon_ends_calls_by_their_deadline(void **state)
{
    (void)state;
    start("*:path=nothing-has-this-name:errno=EIO");
    static uint8_t buf[LEN];
    struct ros2_client *client = connect_for(1000 * MS);
    struct ros2_file *file = must_open(client, "/data", O_RDWR);
    assert_int_equal(ros2_pread(file, buf, LEN, 0), LEN);
    kill(d.pid, SIGSTOP);
    waitpid(d.pid, NULL, WUNTRACED); /* it has stopped, not only been told to */
    uint64_t begin = real_ns();
    assert_error(ros2_pread(file, buf, LEN, 0), ETIMEDOUT);
    assert_error(ros2_pwrite(file, buf, LEN, 0), ETIMEDOUT);
    assert_in_range((real_ns() - begin) / MS, 1900, 6000);
    kill(d.pid, SIGCONT);
    assert_int_equal(ros2_pread(file, buf, LEN, 0), LEN); /* and it goes on */
    ros2_close(file);
    ros2_disconnect(client);
}

/* -- cancelled threads -- */

static _Atomic bool reading, returned;

static void *read_until_cancelled(void *arg)
{
    static uint8_t buf[LEN];
    atomic_store(&reading, true);
    ssize_t n = ros2_read(arg, buf, LEN);
    atomic_store(&returned, n == LEN && memcmp(buf, data, LEN) == 0);
    /* Where this thread ends; the thread sanitizer forgives that only outside of the functions that it intercepts. */
    while (atomic_load(&reading)) {
        pthread_testcancel();
        sched_yield();
    }
    return NULL;
}

static void a_cancelled_thread_ends_after_its_call(void **state)
{
    (void)state;
    start("read:path=data:while=HOLD");
    static uint8_t buf[LEN];
    pthread_t thread;
    void *result;
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY);
    daemon_hold(&d);
    pthread_create(&thread, NULL, read_until_cancelled, file);
    while (!atomic_load(&reading))
        sched_yield();
    pthread_cancel(thread); /* waits for a cancellation point when it is not yet in the call */
    daemon_release(&d);
    pthread_join(thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(atomic_load(&returned));
    assert_int_equal(ros2_lseek(file, 0, SEEK_SET), 0);
    assert_int_equal(ros2_read(file, buf, LEN), LEN);
    assert_memory_equal(buf, data, LEN);
    ros2_close(file);
    ros2_disconnect(client);
}

/* -- lost connections -- */

static void *cut_again_and_again(void *arg)
{
    /* UCX takes several round trips, and its own thread, to connect: it gets the time for that. */
    const useconds_t pause_us = strstr(test_transport(), "ucx") ? 60000 : 3000;

    (void)arg;
    while (atomic_load(&cutting)) {
        daemon_cut_channels(&d);
        usleep(pause_us);
    }
    return NULL;
}

static void a_lost_connection_is_made_again_under_the_call(void **state)
{
    (void)state;
    start("*:path=nothing-has-this-name:errno=EIO");
    uint8_t *buf = malloc(LEN), *out = malloc(LEN);
    pthread_t cutter;
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY),
                     *other = must_open(client, "/out", O_RDWR | O_CREAT);
    assert_int_equal(ros2_pread(file, buf, LEN, 0), LEN);
    assert_true(daemon_cut_channels(&d) >= 1);
    assert_int_equal(ros2_pread(file, buf, LEN, 0), LEN);
    assert_memory_equal(buf, data, LEN);
    atomic_store(&cutting, true);
    pthread_create(&cutter, NULL, cut_again_and_again, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        memset(buf, 0, LEN);
        ssize_t n = ros2_pread(file, buf, LEN, 0);
        if (n != LEN || memcmp(buf, data, LEN) != 0)
            fail_msg("read %u: %zd %s", i, n, n < 0 ? ros2_error() : "other bytes");
        pattern(out, 50000, i);
        assert_int_equal(ros2_pwrite(other, out, 50000, i * 1000), 50000);
        assert_int_equal(ros2_pread(other, buf, 50000, i * 1000), 50000);
        assert_memory_equal(buf, out, 50000);
    }
    atomic_store(&cutting, false);
    pthread_join(cutter, NULL);
    ros2_close(file);
    ros2_close(other);
    ros2_disconnect(client);
    free(buf);
    free(out);
}

static void *cut_once_held(void *arg)
{
    (void)arg;
    usleep(200000);
    daemon_cut_channels(&d);
    usleep(100000);
    daemon_release(&d);
    return NULL;
}

static void what_was_in_flight_is_replayed_and_an_append_is_not(void **state)
{
    (void)state;
    start("read:path=data:while=HOLD,write:path=out:while=HOLD,write:path=log:while=HOLD");
    static uint8_t buf[LEN];
    pthread_t cutter;
    struct ros2_client *client = daemon_connect(&d);
    struct ros2_file *file = must_open(client, "/data", O_RDONLY),
                     *out = must_open(client, "/out", O_RDWR | O_CREAT),
                     *log = must_open(client, "/log", O_WRONLY | O_CREAT | O_APPEND);
    for (int i = 0; i < 3; i++) {
        daemon_hold(&d);
        pthread_create(&cutter, NULL, cut_once_held, NULL);
        if (i == 0)
            assert_int_equal(ros2_pread(file, buf, LEN, 0), LEN);
        else if (i == 1)
            assert_int_equal(ros2_pwrite(out, data, LEN, 0), LEN);
        else
            assert_error(ros2_write(log, "line\n", 5), ENOTRECOVERABLE);
        pthread_join(cutter, NULL);
    }
    assert_memory_equal(buf, data, LEN);
    assert_int_equal(ros2_write(log, "next\n", 5), 5);
    ros2_close(file);
    ros2_close(out);
    ros2_close(log);
    size_t len;
    uint8_t *stored = store_read(&d, "out", &len);
    assert_true(len == LEN && memcmp(stored, data, LEN) == 0);
    free(stored);
    ros2_disconnect(client);
}

/* -- signals -- */

static volatile sig_atomic_t ticks;

static void on_tick(int number)
{
    (void)number;
    ticks++;
}

static void signals_never_surface(void **state)
{
    (void)state;
    start("read:path=slow:delay_ms=20");
    static uint8_t buf[LEN];
    struct sigaction action = {.sa_handler = on_tick}; /* without SA_RESTART */
    struct itimerval every_ms = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    struct ros2_client *client = daemon_connect(&d);
    store_write(&d, "slow", data, LEN);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every_ms, NULL);
    for (int i = 0; i < 20; i++) {
        struct ros2_file *file = must_open(client, i % 2 ? "/slow" : "/data", O_RDWR);
        assert_int_equal(ros2_pread(file, buf, LEN, 0), LEN);
        assert_memory_equal(buf, data, LEN);
        assert_int_equal(ros2_pwrite(file, data, LEN, 0), LEN);
        assert_ok(ros2_fsync(file));
        ros2_close(file);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
    assert_true(ticks > 50);
    ros2_disconnect(client);
}

static void no_signal_is_raised_and_no_handler_is_changed(void **state)
{
    (void)state;
    struct sigaction before[65], after[65];
    for (int i = 1; i < 65; i++)
        sigaction(i, NULL, &before[i]);
    start("*:path=nothing-has-this-name:errno=EIO");
    char byte;
    struct ros2_client *client = connect_for(500 * MS);
    struct ros2_file *file = must_open(client, "/data", O_RDWR);
    assert_int_equal(ros2_pread(file, &byte, 1, 0), 1);
    daemon_kill(&d);
    assert_true(ros2_pwrite(file, &byte, 1, 0) < 0); /* SIGPIPE would have ended us */
    ros2_close(file);
    ros2_disconnect(client);
    for (int i = 1; i < 65; i++) {
        if (sigaction(i, NULL, &after[i]) == 0 && before[i].sa_handler != after[i].sa_handler)
            fail_msg("signal %d: another handler", i);
    }
}

static bool is_listening(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(strrchr(d.url, ':') + 1)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return up;
}

/* For clients that have gone meanwhile: nobody but the engine holds it up. */
static void a_daemon_ends_only_after_its_engine(void **state)
{
    (void)state;
    start("open:path=stuck:while=HOLD");
    store_write(&d, "stuck", data, 1);
    for (int i = 0; i < 5; i++) {
        struct ros2_file *file;
        struct ros2_client *client = connect_for(1000 * MS);
        daemon_hold(&d);
        assert_error(ros2_open(client, "/stuck", O_RDONLY, 0, &file), ETIMEDOUT);
        ros2_disconnect(client);
        if (i < 4)
            daemon_release(&d);
    }
    kill(d.pid, SIGTERM);
    /* Bounded: the port may have become somebody else's. */
    uint64_t limit_ns = real_ns() + 5000 * MS;
    for (int refused = 0; refused < 100 && real_ns() < limit_ns; refused += !is_listening())
        sched_yield();
    daemon_release(&d);
    int status = -1;
    waitpid(d.pid, &status, 0);
    d.pid = 0;
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: nothing of ours has run before. */
        cmocka_unit_test_teardown(no_signal_is_raised_and_no_handler_is_changed, stop),
        cmocka_unit_test_teardown(a_read_that_is_held_times_out_and_lands_nowhere, stop),
        cmocka_unit_test_teardown(a_write_that_is_held_times_out, stop),
        cmocka_unit_test_teardown(errors_of_the_engine_come_through, stop),
        cmocka_unit_test_teardown(a_read_only_token_reads_only, stop),
        cmocka_unit_test_teardown(a_daemon_killed_ends_calls_by_their_deadline, stop),
        cmocka_unit_test_teardown(a_stopped_daemon_ends_calls_by_their_deadline, stop),
        cmocka_unit_test_teardown(a_cancelled_thread_ends_after_its_call, stop),
        cmocka_unit_test_teardown(a_lost_connection_is_made_again_under_the_call, stop),
        cmocka_unit_test_teardown(what_was_in_flight_is_replayed_and_an_append_is_not, stop),
        cmocka_unit_test_teardown(signals_never_surface, stop),
        cmocka_unit_test_teardown(a_daemon_ends_only_after_its_engine, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
