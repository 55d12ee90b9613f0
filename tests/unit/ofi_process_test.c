/* SPDX-License-Identifier: Apache-2.0 */
/* What transport ofi does to the process that loads it: nothing that its owner would notice. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"

/* SA_RESTORER: the C library sets it with whatever is set through it, the default too. */
#define C_LIBRARYS 0x04000000

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

static int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = -2; /* "." and ".." */

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* First of all cases: it loads libfabric, whose constructor takes signals. */
static void signals_and_threads_are_as_before(void **state)
{
    struct sigaction before[65], after[65];
    int threads = count_threads();
    struct pair p;

    (void)state;
    signal(SIGTERM, handler);
    signal(SIGUSR2, SIG_IGN);
    read_actions(before);
    pair_group_setup(NULL);
    pair_open(&p, NULL);
    read_actions(after);
    for (int sig = 1; sig <= 64; sig++) {
        assert_ptr_equal(before[sig].sa_handler, after[sig].sa_handler);
        assert_int_equal(before[sig].sa_flags | C_LIBRARYS, after[sig].sa_flags | C_LIBRARYS);
    }
    assert_int_equal(count_threads(), threads);
    pair_close(&p);
    signal(SIGTERM, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

/* Connections of the connecting side, which is a library in somebody's program. */
static void an_execed_program_gets_no_connection(void **state)
{
    struct pair *p = *state;
    struct pair_side client = {.domain = p->a.domain};
    int kept = 0;

    /* Nobody accepts it yet: all sockets towards the listener's port are the client's. */
    pair_ops->listener_pause(p->listener, 1);
    assert_int_equal(
        pair_ops->connect(client.domain, p->address, &pair_handler, &client, &client.ep), 0);
    int port = atoi(strrchr(p->address, ':') + 1);
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 || peer.sin_family != AF_INET ||
            ntohs(peer.sin_port) != port)
            continue;
        kept++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_true(kept >= 1);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    pair_ops->listener_pause(p->listener, 0);
    pair_until(p, client.connected);
    pair_ops->ep_abort(client.ep);
    pair_until(p, p->b.ep && p->b.closed);
}

static void a_provider_that_nobody_knows_is_named(void **state)
{
    const struct ros2_transport_ops *ops = NULL;

    (void)state;
    assert_int_equal(ros2i_plugin_transport("ofi+carrier_pigeon", &ops), -ENOTSUP);
    assert_non_null(strstr(ros2i_error(), "ofi+carrier_pigeon"));
    assert_int_equal(ros2i_plugin_transport("ofi", &ops), -EINVAL);
    assert_non_null(strstr(ros2i_error(), "ofi+tcp"));
    assert_int_equal(ros2i_plugin_transport("tcp+ofi", &ops), -ENOTSUP);
    assert_non_null(strstr(ros2i_error(), "no variants"));
    assert_null(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_and_threads_are_as_before),
        cmocka_unit_test_setup_teardown(an_execed_program_gets_no_connection, pair_setup,
                                        pair_teardown),
        cmocka_unit_test(a_provider_that_nobody_knows_is_named),
    };

    setenv("ROS2_TEST_TRANSPORT", "ofi+tcp", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
