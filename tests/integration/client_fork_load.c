/* SPDX-License-Identifier: Apache-2.0 */
/* Many forks, of all kinds, while calls are under way: nobody hangs, nobody shares a socket, nothing leaks. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define LEN      100000u
#define FILES    1000
#define FILE_LEN 784u /* as large as a sample of Fashion-MNIST */

static struct daemon *d;
static struct ros2_client *client;
static struct ros2_file *file;
static uint8_t data[LEN];
static unsigned children = 64;
static unsigned forks = 1000; /* ROS2_TEST_FORKS; ./check --full asks for 10,000 */

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    pattern(data, LEN, 3);
    store_write(d, "data", data, LEN);
    client = daemon_connect(d);
    file = must_open(client, "/data", O_RDONLY);
    /* Sanitizers make a fork some ten times as slow, and so is what each child does with gRPC and TLS. */
    const char *sanitizers = getenv("SANITIZER_FLAGS"), *wanted = getenv("ROS2_TEST_FORKS");
    if (sanitizers && *sanitizers) {
        forks = 200;
        children = 12;
    } else if (wanted)
        forks = (unsigned)strtoul(wanted, NULL, 10);
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
    bool good = ros2_pread(f, buf, LEN, 0) == LEN && memcmp(buf, data, LEN) == 0;
    if (!good)
        fprintf(stderr, "# pid %d: %s\n", (int)getpid(), ros2_error());
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
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        fail_msg("child: wait status 0x%x", status);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* -- the load: two threads that read, one that opens -- */

static pthread_t load[3];
static unsigned loaders;
static _Atomic bool stop;
static _Atomic unsigned rounds, failures;

static void *read_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        atomic_fetch_add(&failures, !reads_well(file));
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

static void *open_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        atomic_fetch_add(&failures, !opens_well());
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

/* With three threads the third opens, which allocates. */
static void begin_load(unsigned threads)
{
    if (!ALLOCATOR_SURVIVES_FORK && threads > 2)
        threads = 2;
    atomic_store(&stop, false);
    loaders = threads;
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&load[i], NULL, i == 2 ? open_all_the_time : read_all_the_time, NULL);
    unsigned before = atomic_load(&rounds);
    while (atomic_load(&rounds) < before + 3)
        sched_yield();
}

static void stop_load(void)
{
    atomic_store(&stop, true);
    for (; loaders > 0; loaders--)
        pthread_join(load[loaders - 1], NULL);
}

static void end_load(void)
{
    stop_load();
    assert_int_equal(atomic_load(&failures), 0);
}

/* A case that failed leaves nothing to the next one. */
static int end_case(void **state)
{
    (void)state;
    stop_load();
    atomic_store(&failures, 0);
    return 0;
}

/* -- the tests -- */

extern char **environ;

static void vfork_spawn_and_exec_leave_the_parent_alone(void **state)
{
    (void)state;
    static char name[] = "true";
    char *const arguments[] = {name, NULL};
    begin_load(3);
    for (int i = 0; i < 50; i++) {
        pid_t child;
        assert_int_equal(posix_spawnp(&child, "true", NULL, NULL, arguments, environ), 0);
        wait_for(child);
        child = fork();
        if (child == 0) {
            execvp("true", arguments);
            _exit(1);
        }
        wait_for(child);
        child = vfork();
        if (child == 0) {
            execvp("true", arguments);
            _exit(1);
        }
        wait_for(child);
    }
    end_load();
}

static void many_children_at_once_all_read(void **state)
{
    pid_t child[64];
    (void)state;
    begin_load(3);
    for (unsigned i = 0; i < children; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            alarm(120);
            _exit(reads_well(file) && opens_well() ? 0 : 1);
        }
        assert_true(child[i] > 0);
    }
    for (unsigned i = 0; i < children; i++)
        wait_for(child[i]);
    end_load();
}

/* Each generation reads, forks the next one twice, and reads again. */
static int generation(int left)
{
    bool good = reads_well(file) && (left % 2 == 0 || opens_well());
    for (int i = 0; left > 0 && i < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(generation(left - 1));
        int status = -1;
        waitpid(child, &status, 0);
        good = good && status == 0;
    }
    return good && reads_well(file) ? 0 : 1;
}

static void children_of_children_read(void **state)
{
    (void)state;
    assert_int_equal(generation(4), 0);
}

static int worker(int number)
{
    char path[32];
    uint8_t buf[FILE_LEN + 1];
    for (int i = 0; i < FILES; i++) {
        struct ros2_file *own;
        int at = (i * 7 + number * 131) % FILES;
        snprintf(path, sizeof(path), "/set/%d", at);
        if (ros2_open(client, path, O_RDONLY, 0, &own) < 0 ||
            ros2_pread(own, buf, sizeof(buf), 0) != FILE_LEN ||
            memcmp(buf, data + at, FILE_LEN) != 0 || ros2_close(own) < 0) {
            fprintf(stderr, "# worker %d, %s: %s\n", number, path, ros2_error());
            return 1;
        }
    }
    return 0;
}

/* As a PyTorch DataLoader does it: the data set looks at its files, then the workers are forked. */
static void four_workers_open_and_read_a_thousand_files_each(void **state)
{
    pid_t child[4];
    char name[32];
    (void)state;
    mkdir(store_path(d, "set"), 0755);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "set/%d", i);
        store_write(d, name, data + i, FILE_LEN);
    }
    assert_true(opens_well());
    for (int i = 0; i < 4; i++) {
        child[i] = fork();
        if (child[i] == 0)
            _exit(worker(i));
    }
    assert_true(opens_well());
    for (int i = 0; i < 4; i++)
        wait_for(child[i]);
    assert_true(opens_well());
}

static int sockets_held(void)
{
    char path[40], target[100];
    int count = 0;
    for (int fd = 3; fd < 256; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        count += strncmp(target, "socket:", 7) == 0;
    }
    return count;
}

static void fork_once(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    wait_for(child);
}

static void thousands_of_forks_under_load(void **state)
{
    (void)state;
    begin_load(1); /* more would only fight for the CPUs with the children */
    fork_once();   /* it has gRPC close its connections, which are no leak */
    int before = open_descriptors();
    for (unsigned i = 0; i < forks; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            if (sockets_held() > 0)
                _exit(2);
            _exit(i % 100 == 0 && !reads_well(file) ? 1 : 0);
        }
        assert_true(child > 0);
        wait_for(child);
    }
    /* The session is kept alive meanwhile, for which gRPC may just have connected again; what leaks never goes away. */
    int after = open_descriptors();
    for (int i = 0; after > before && i < 100; i++) {
        fork_once();
        after = open_descriptors();
    }
    assert_true(after <= before);
    end_load();
    assert_true(opens_well());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(vfork_spawn_and_exec_leave_the_parent_alone, end_case),
        cmocka_unit_test_teardown(many_children_at_once_all_read, end_case),
        cmocka_unit_test_teardown(children_of_children_read, end_case),
        cmocka_unit_test_teardown(four_workers_open_and_read_a_thousand_files_each, end_case),
        cmocka_unit_test_teardown(thousands_of_forks_under_load, end_case),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
