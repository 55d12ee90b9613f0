/* SPDX-License-Identifier: Apache-2.0 */
/* What transport ucx does to the process that loads it: one thread of UCX's, nothing else that its owner would notice. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"

/* SA_RESTORER: the C library sets it with whatever is set through it, the default too. */
#define C_LIBRARYS 0x04000000
#define FDS        256

static void handler(int sig)
{
    (void)sig;
}

static void read_actions(struct sigaction action[65])
{
    memset(action, 0, 65 * sizeof *action);
    for (int sig = 1; sig <= 64; sig++)
        sigaction(sig, NULL, &action[sig]);
}

/* The first instructions of what UCX likes to replace. */
static const char *const wanted[] = {"mmap", "munmap", "mremap", "madvise", "brk", "free"};
#define WANTED (sizeof wanted / sizeof wanted[0])

static void read_code(uint8_t code[WANTED][16])
{
    for (size_t i = 0; i < WANTED; i++) {
        const void *function = dlsym(RTLD_DEFAULT, wanted[i]);
        assert_non_null(function);
        memcpy(code[i], function, 16);
    }
}

/* First of all cases: it loads UCX. */
static void signals_and_functions_are_as_before(void **state)
{
    struct sigaction before[65], after[65];
    uint8_t code[WANTED][16], code_after[WANTED][16];
    struct pair p;

    (void)state;
    signal(SIGTERM, handler);
    signal(SIGUSR2, SIG_IGN);
    read_actions(before);
    read_code(code);
    pair_group_setup(NULL);
    pair_open(&p, NULL);
    read_actions(after);
    read_code(code_after);
    for (int sig = 1; sig <= 64; sig++) {
        assert_ptr_equal(before[sig].sa_handler, after[sig].sa_handler);
        assert_int_equal(before[sig].sa_flags | C_LIBRARYS, after[sig].sa_flags | C_LIBRARYS);
    }
    assert_memory_equal(code, code_after, sizeof code);
    pair_close(&p);
    signal(SIGTERM, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

static void note_sockets(unsigned long ino[FDS])
{
    for (int fd = 3; fd < FDS; fd++) {
        struct stat st;
        ino[fd] = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
    }
}

static void an_execed_program_gets_no_connection(void **state)
{
    unsigned long before[FDS], after[FDS];
    struct pair p;
    int opened = 0;

    (void)state;
    note_sockets(before);
    pair_open(&p, NULL);
    pair_send(&p, &p.a, "x", 1);
    pair_until(&p, p.b.messages == 1);
    note_sockets(after);
    for (int fd = 3; fd < FDS; fd++) {
        if (after[fd] == before[fd])
            continue;
        opened++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_true(opened >= 2);
    pair_close(&p);
}

static void what_ucx_says_goes_to_no_output(void **state)
{
    struct pair *p = *state;
    struct pair_side client = {.domain = p->a.domain};
    char path[] = "/tmp/ros2-ucx-XXXXXX";
    int file = mkstemp(path), keep = dup(STDOUT_FILENO);
    struct stat st;

    assert_true(file >= 0 && keep >= 0);
    unlink(path);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    /* UCX has something to say of a connection that nobody wants. */
    int rc = pair_ops->connect(p->a.domain, "127.0.0.1:1", &pair_handler, &client, &client.ep);
    for (int i = 0; rc == 0 && i < 100000 && !client.closed; i++)
        pair_progress(p);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    assert_int_equal(rc, 0);
    assert_int_equal(client.closed_err, -ECONNREFUSED);
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_size, 0);
    close(file);
    pair_ops->ep_abort(client.ep);
}

static void a_forked_child_is_told_that_it_cannot(void **state)
{
    const struct ros2_domain_options options = {.size = sizeof options, .host = &ros2i_host};
    struct ros2_domain *domain;
    int status;

    (void)state;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(pair_ops->available(&ros2i_host, NULL) == -ENOTSUP &&
                      ros2i_plugin_open_domain(pair_ops, &options, &domain) == -ENOTSUP &&
                      strstr(ros2i_error(), "fork")
                  ? 0
                  : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void a_transport_that_nobody_knows_is_named(void **state)
{
    const struct ros2_transport_ops *ops = NULL;

    (void)state;
    assert_int_equal(ros2i_plugin_transport("ucx+carrier_pigeon", &ops), -ENOTSUP);
    assert_non_null(strstr(ros2i_error(), "ucx+carrier_pigeon"));
    assert_int_equal(ros2i_plugin_transport("ucx", &ops), -EINVAL);
    assert_null(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_and_functions_are_as_before),
        cmocka_unit_test(an_execed_program_gets_no_connection),
        cmocka_unit_test_setup_teardown(what_ucx_says_goes_to_no_output, pair_setup, pair_teardown),
        cmocka_unit_test(a_forked_child_is_told_that_it_cannot),
        cmocka_unit_test(a_transport_that_nobody_knows_is_named),
    };

    setenv("ROS2_TEST_TRANSPORT", "ucx+tcp", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
