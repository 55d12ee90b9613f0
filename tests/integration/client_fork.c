/* SPDX-License-Identifier: Apache-2.0 */
/* fork(): parent, child and grandchild all go on with what was open before. */
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
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN 300000u

static struct daemon *d;
static struct ros2_client *client;
static struct ros2_file *file;
static uint8_t data[LEN];

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    pattern(data, LEN, 3);
    store_write(d, "data", data, LEN);
    client = daemon_connect(d);
    file = must_open(client, "/data", O_RDONLY);
    return 0;
}

static int teardown(void **state)
{
    ros2_close(file);
    ros2_disconnect(client);
    return daemon_group_teardown(state);
}

static bool reads_well(struct ros2_file *f)
{
    static _Thread_local uint8_t buf[LEN]; /* see ALLOCATOR_SURVIVES_FORK */
    ssize_t n = ros2_pread(f, buf, LEN, 0);
    bool good = n == LEN && memcmp(buf, data, LEN) == 0 && ros2_pread(f, buf, 100, 5) == 100;
    if (!good)
        fprintf(stderr, "# pid %d: %zd, %s\n", (int)getpid(), n, ros2_error());
    return good;
}

static bool opens_well(void)
{
    struct ros2_file *own;
    if (ros2_open(client, "/data", O_RDONLY, 0, &own) < 0) {
        fprintf(stderr, "# pid %d: %s\n", (int)getpid(), ros2_error());
        return false;
    }
    bool good = reads_well(own);
    return ros2_close(own) == 0 && good;
}

static void wait_for(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    if (status != 0)
        fail_msg("child: wait status 0x%x", status);
}

static void child_and_grandchild_read_what_the_parent_opened(void **state)
{
    (void)state;
    assert_true(reads_well(file));
    pid_t child = fork();
    if (child == 0) {
        bool good = reads_well(file) && opens_well();
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(reads_well(file) && opens_well() ? 0 : 1);
        int status = -1;
        waitpid(grandchild, &status, 0);
        _exit(good && status == 0 && reads_well(file) ? 0 : 1);
    }
    assert_true(reads_well(file));
    wait_for(child);
    assert_true(reads_well(file));
}

static void a_childs_close_and_disconnect_leave_the_parents_alone(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        bool good = reads_well(file);
        ros2_close(file);
        ros2_disconnect(client);
        _exit(good ? 0 : 1);
    }
    wait_for(child);
    assert_true(reads_well(file) && opens_well());
}

static void a_child_that_only_exits_disturbs_nobody(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        wait_for(child);
        assert_true(reads_well(file));
    }
}

static void a_child_may_exec(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    wait_for(child);
    assert_true(reads_well(file));
}

static void a_child_killed_in_a_call_disturbs_nobody(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            reads_well(file);
    usleep(50000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(reads_well(file) && opens_well());
}

/* -- with threads -- */

static _Atomic bool stop;
static _Atomic int rounds, failures;

static void *read_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        if (!reads_well(file))
            atomic_fetch_add(&failures, 1);
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

static void *open_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        if (!opens_well())
            atomic_fetch_add(&failures, 1);
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

static void fork_while_other_threads_are_in_calls(void **state)
{
    (void)state;
    pthread_t threads[3];
    atomic_store(&stop, false);
    const int count = ALLOCATOR_SURVIVES_FORK ? 3 : 2; /* the third one allocates */
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, i < 2 ? read_all_the_time : open_all_the_time, NULL);
    for (int i = 0; i < 10; i++) {
        int before = atomic_load(&rounds);
        while (atomic_load(&rounds) < before + 3)
            usleep(1000);
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            _exit(reads_well(file) && opens_well() ? 0 : 1);
        }
        wait_for(child);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 0);
}

static void *fork_here(void *arg)
{
    pid_t *child = arg;
    if (!reads_well(file))
        return NULL;
    *child = fork();
    if (*child == 0)
        _exit(reads_well(file) ? 0 : 1);
    return NULL;
}

static void fork_from_a_thread_that_is_not_the_first(void **state)
{
    (void)state;
    pthread_t thread;
    pid_t child = -1;
    pthread_create(&thread, NULL, fork_here, &child);
    pthread_join(thread, NULL);
    assert_true(child > 0);
    wait_for(child);
    assert_true(reads_well(file));
}

/* Both ends without a name, and connected: a pair that a library wakes itself by, which leads to nobody else. */
static bool is_pair(int fd)
{
    struct sockaddr_un name[2];
    socklen_t len[2] = {sizeof(name[0]), sizeof(name[1])};
    return getsockname(fd, (struct sockaddr *)&name[0], &len[0]) == 0 &&
           getpeername(fd, (struct sockaddr *)&name[1], &len[1]) == 0 &&
           name[0].sun_family == AF_UNIX && len[0] == sizeof(sa_family_t) &&
           len[1] == sizeof(sa_family_t);
}

static int open_sockets(void)
{
    int count = 0;
    char path[40], target[100];
    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        count += strncmp(target, "socket:", 7) == 0 && !is_pair(fd);
    }
    return count;
}

static void a_child_keeps_no_connection_of_its_parent(void **state)
{
    (void)state;
    assert_true(reads_well(file));
    pid_t child = fork();
    if (child == 0)
        _exit(open_sockets() == 0 ? 0 : 1);
    wait_for(child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_and_grandchild_read_what_the_parent_opened),
        cmocka_unit_test(a_childs_close_and_disconnect_leave_the_parents_alone),
        cmocka_unit_test(a_child_that_only_exits_disturbs_nobody),
        cmocka_unit_test(a_child_may_exec),
        cmocka_unit_test(a_child_killed_in_a_call_disturbs_nobody),
        cmocka_unit_test(fork_while_other_threads_are_in_calls),
        cmocka_unit_test(fork_from_a_thread_that_is_not_the_first),
        cmocka_unit_test(a_child_keeps_no_connection_of_its_parent),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
