/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads and processes on one client, one file, one daemon. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define THREADS 8
#define LEN     (2u << 20)
#define RECORDS 100

static struct daemon *d;

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    return 0;
}

/* Threads report by text: cmocka's assertions belong to the main one. */
struct job {
    pthread_t thread;
    struct ros2_client *client;
    struct ros2_file *file;
    const uint8_t *expected;
    int number;
    char text[300];
};

#define check(job, condition)                                                               \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            snprintf((job)->text, sizeof((job)->text), "%s: %s", #condition, ros2_error()); \
            return NULL;                                                                    \
        }                                                                                   \
    } while (0)

static void run_threads(struct job *jobs, int count, void *(*fn)(void *))
{
    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, fn, &jobs[i]), 0);
    for (int i = 0; i < count; i++)
        pthread_join(jobs[i].thread, NULL);
    for (int i = 0; i < count; i++)
        if (jobs[i].text[0])
            fail_msg("thread %d: %s", i, jobs[i].text);
}

static void *read_everywhere(void *arg)
{
    struct job *job = arg;
    uint8_t *buf = malloc(LEN);
    unsigned seed = (unsigned)job->number;
    for (int i = 0; i < 100; i++) {
        size_t len = (size_t)rand_r(&seed) % (i % 4 ? 5000 : 400000),
               offset = (size_t)rand_r(&seed) % (LEN - len);
        check(job, ros2_pread(job->file, buf, len, offset) == (ssize_t)len);
        check(job, memcmp(buf, job->expected + offset, len) == 0);
    }
    free(buf);
    return NULL;
}

static void eight_threads_read_one_file(void **state)
{
    (void)state;
    struct ros2_client *client = daemon_connect(d);
    uint8_t *data = malloc(LEN);
    struct job jobs[THREADS] = {0};
    pattern(data, LEN, 5);
    store_write(d, "shared", data, LEN);
    struct ros2_file *file = must_open(client, "/shared", O_RDONLY);
    for (int i = 0; i < THREADS; i++)
        jobs[i] = (struct job){.client = client, .file = file, .expected = data, .number = i};
    run_threads(jobs, THREADS, read_everywhere);
    ros2_close(file);
    ros2_disconnect(client);
    free(data);
}

static void *open_read_close(void *arg)
{
    struct job *job = arg;
    char path[40], text[40], buf[40];
    for (int i = 0; i < 30; i++) {
        struct ros2_file *file;
        snprintf(path, sizeof(path), "/t%d-%d", job->number, i);
        snprintf(text, sizeof(text), "content of %d %d", job->number, i);
        check(job, ros2_open(job->client, path, O_RDWR | O_CREAT, 0600, &file) == 0);
        check(job, ros2_write(file, text, strlen(text)) == (ssize_t)strlen(text));
        check(job, ros2_pread(file, buf, sizeof(buf), 0) == (ssize_t)strlen(text));
        check(job, memcmp(buf, text, strlen(text)) == 0);
        check(job, ros2_close(file) == 0);
        check(job, ros2_unlink(job->client, path) == 0);
    }
    return NULL;
}

static void threads_open_and_close_files_of_one_client(void **state)
{
    (void)state;
    struct ros2_client *client = daemon_connect(d);
    struct job jobs[4] = {0};
    for (int i = 0; i < 4; i++)
        jobs[i] = (struct job){.client = client, .number = i};
    run_threads(jobs, 4, open_read_close);
    ros2_disconnect(client);
}

/* -- appends -- */

static void record(char *buf, size_t len, int writer, int number)
{
    memset(buf, 'a' + writer, len);
    int n = snprintf(buf, 20, "<%d %d", writer, number);
    buf[n] = '.';
    buf[len - 1] = '>';
}

/* Some ride inline, some do not. */
static size_t record_len(int number)
{
    return number % 3 ? 700 : 9000;
}

static void *append_records(void *arg)
{
    struct job *job = arg;
    static __thread char buf[9000];
    for (int i = 0; i < RECORDS; i++) {
        record(buf, record_len(i), job->number, i);
        check(job, ros2_write(job->file, buf, record_len(i)) == (ssize_t)record_len(i));
    }
    return NULL;
}

static void check_records(const char *data, size_t len, int writers)
{
    static char expected[9000];
    int next[8] = {0};
    size_t at = 0;
    while (at < len) {
        int writer, number;
        assert_int_equal(sscanf(data + at, "<%d %d.", &writer, &number), 2);
        assert_in_range(writer, 0, writers - 1);
        assert_int_equal(number, next[writer]++); /* each writer's in its order */
        record(expected, record_len(number), writer, number);
        assert_true(at + record_len(number) <= len);
        assert_memory_equal(data + at, expected, record_len(number));
        at += record_len(number);
    }
    for (int i = 0; i < writers; i++)
        assert_int_equal(next[i], RECORDS);
}

static void appends_of_threads_and_processes_never_tear(void **state)
{
    (void)state;
    struct ros2_client *client = daemon_connect(d);
    pid_t child = fork();
    struct job jobs[4] = {0};
    struct ros2_file *file[4];
    for (int i = 0; i < 4; i++) {
        file[i] = must_open(client, "/log", O_WRONLY | O_CREAT | O_APPEND);
        jobs[i] =
            (struct job){.client = client, .file = file[i], .number = i + (child == 0 ? 4 : 0)};
    }
    if (child == 0) {
        for (int i = 0; i < 4; i++)
            pthread_create(&jobs[i].thread, NULL, append_records, &jobs[i]);
        for (int i = 0; i < 4; i++)
            pthread_join(jobs[i].thread, NULL);
        for (int i = 0; i < 4; i++)
            if (jobs[i].text[0]) {
                fprintf(stderr, "# child: %s\n", jobs[i].text);
                _exit(1);
            }
        _exit(0);
    }
    run_threads(jobs, 4, append_records);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    for (int i = 0; i < 4; i++)
        ros2_close(file[i]);
    size_t len;
    char *data = store_read(d, "log", &len);
    check_records(data, len, 8);
    free(data);
    ros2_disconnect(client);
}

static void *write_at_the_shared_offset(void *arg)
{
    struct job *job = arg;
    char line[16];
    for (int i = 0; i < 50; i++) {
        snprintf(line, sizeof(line), "%07d%07d\n", job->number, i);
        check(job, ros2_write(job->file, line, 15) == 15);
    }
    return NULL;
}

static void writes_at_a_shared_offset_do_not_overlap(void **state)
{
    (void)state;
    struct ros2_client *client = daemon_connect(d);
    struct ros2_file *file = must_open(client, "/offset", O_RDWR | O_CREAT | O_TRUNC);
    struct job jobs[4] = {0};
    for (int i = 0; i < 4; i++)
        jobs[i] = (struct job){.client = client, .file = file, .number = i};
    run_threads(jobs, 4, write_at_the_shared_offset);
    assert_int_equal(ros2_lseek(file, 0, SEEK_CUR), 4 * 50 * 15);
    ros2_close(file);
    size_t len;
    char *data = store_read(d, "offset", &len);
    assert_int_equal(len, 4 * 50 * 15);
    int next[4] = {0};
    for (size_t at = 0; at < len; at += 15) {
        int writer, number;
        assert_int_equal(sscanf(data + at, "%7d%7d", &writer, &number), 2);
        assert_int_equal(number, next[writer]++);
    }
    free(data);
    ros2_disconnect(client);
}

static void *one_ping(void *arg)
{
    struct job *job = arg;
    check(job, ros2_ping(job->client, NULL) == 0);
    return NULL;
}

static int count_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void threads_that_end_leave_no_descriptor(void **state)
{
    (void)state;
    struct ros2_client *client = daemon_connect(d);
    assert_ok(ros2_ping(client, NULL));
    int before = 0;
    for (int i = 0; i < 60; i++) {
        struct job job = {.client = client};
        run_threads(&job, 1, one_ping);
        if (i == 5)
            before = count_fds();
    }
    assert_true(count_fds() <= before + 1); /* gRPC may be up or down */
    ros2_disconnect(client);
}

static void *hold_a_client(void *arg)
{
    struct job *job = arg;
    for (int i = 0; i < 20; i++) {
        struct ros2_connect_options options = daemon_options(d);
        struct ros2_client *client;
        check(job, ros2_connect(d->url, &options, &client) == 0);
        check(job, ros2_ping(client, NULL) == 0);
        ros2_disconnect(client);
    }
    return NULL;
}

static void clients_come_and_go_in_threads(void **state)
{
    (void)state;
    struct job jobs[3] = {0};
    run_threads(jobs, 3, hold_a_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_threads_read_one_file),
        cmocka_unit_test(threads_open_and_close_files_of_one_client),
        cmocka_unit_test(appends_of_threads_and_processes_never_tear),
        cmocka_unit_test(writes_at_a_shared_offset_do_not_overlap),
        cmocka_unit_test(threads_that_end_leave_no_descriptor),
        cmocka_unit_test(clients_come_and_go_in_threads),
    };
    return cmocka_run_group_tests(tests, setup, daemon_group_teardown);
}
