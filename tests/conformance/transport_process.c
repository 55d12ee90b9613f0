/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: processes. A peer's dies; a child inherits a domain by fork(). */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITE ROS2_REGION_REMOTE_WRITE

/* -- a peer that dies -- */

/* As the first argument: only connect to the second, say who is to be killed last, and wait. */
#define CONNECT "connect"
#define CONNECT_AND_FORK \
    "connect-and-fork" /* with a child that drops what it inherited, and lives on */

static pid_t fork_a_child_that_stays(struct ros2_domain *domain)
{
    int dropped[2];
    char byte;

    if (pipe(dropped) < 0)
        _exit(1);
    const pid_t pid = fork();
    if (pid == 0) {
        pair_ops->domain_close(domain);
        alarm(60); /* a test that fails does not end it */
        if (write(dropped[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    if (pid < 0 || read(dropped[0], &byte, 1) != 1)
        _exit(1);
    return pid;
}

static void connect_and_wait(const char *address, bool forks)
{
    struct pair_side side = {.domain = pair_domain(0, 0)};

    if (pair_ops->connect(side.domain, address, &pair_handler, &side, &side.ep) < 0)
        _exit(1);
    while (!side.connected)
        pair_ops->progress(side.domain);
    pid_t last = forks ? fork_a_child_that_stays(side.domain) : getpid();
    const struct iovec iov = {&last, sizeof last};
    if (pair_ops->send(side.ep, &iov, 1, NULL) < 0)
        _exit(1);
    for (;;)
        pair_ops->progress(side.domain);
}

struct acceptor {
    struct pair_side side;
    struct ros2_listener *listener;
    char address[128];
};

static void accept_side(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct pair_side *side = arg;

    (void)listener;
    side->ep = ep;
    pair_ops->ep_set_handler(ep, &pair_handler, side);
}

static void acceptor_open(struct acceptor *a)
{
    memset(a, 0, sizeof *a);
    a->side.domain = pair_domain(0, 0);
    assert_int_equal(pair_ops->listen(a->side.domain, pair_listen_address(), accept_side, &a->side,
                                      &a->listener),
                     0);
    assert_int_equal(pair_ops->listener_address(a->listener, a->address, sizeof a->address), 0);
}

static void death_is_told(const char *how)
{
    struct acceptor a;
    pid_t last;
    int status;

    acceptor_open(&a);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* A program of its own: a child could not use a device that its parent has open. */
        execl("/proc/self/exe", "transport_process", how, a.address, NULL);
        _exit(1);
    }
    side_until(&a.side, a.side.messages == 1);
    memcpy(&last, a.side.last, sizeof last);
    assert_int_equal(kill(pid, SIGKILL), 0);
    side_until(&a.side, a.side.closed);
    assert_true(a.side.closed_err == -ECONNRESET || a.side.closed_err == -EPIPE);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (last != pid)
        assert_int_equal(kill(last, SIGKILL), 0); /* it was still there */
    pair_ops->domain_close(a.side.domain);
}

static void the_death_of_the_peers_process_is_told(void **state)
{
    (void)state;
    death_is_told(CONNECT);
}

/* Whoever has dropped a domain holds nothing of it open. */
static void the_death_of_the_peers_process_is_told_although_a_child_lives_on(void **state)
{
    (void)state;
    death_is_told(CONNECT_AND_FORK);
}

/* -- a forked child -- */

/* A forked child drops what it inherited; the parent's connection goes on, also with what it sleeps on. */
static void a_forked_childs_domain_close_leaves_the_parent_alone(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    struct pair_op op;
    int status;

    pair_region_open(&r, &p->b, &p->a, 100, WRITE);
    pair_settle(p);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pair_ops->region_deregister(r.region);
        pair_ops->domain_close(p->a.domain);
        pair_ops->domain_close(p->b.domain);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (uint64_t i = 1; i <= 10; i++) {
        if (!(pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY))
            assert_int_equal(pair_ops->domain_arm(p->b.domain), 0);
        pair_send(p, &p->a, "x", 1);
        pair_ops->flush(p->a.ep);
        if (!(pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY)) {
            struct pollfd fd = {.fd = pair_ops->domain_fd(p->b.domain), .events = POLLIN};
            assert_int_equal(poll(&fd, 1, 10000), 1);
        }
        pair_until(p, p->b.messages == i);
    }
    pair_put(&p->a, "still", 5, pair_remote(&r, 0, 5), NULL, 0, &op);
    pair_until(p, op.calls == 1 && memcmp(r.bytes, "still", 5) == 0);
    assert_int_equal(p->a.closed + p->b.closed, 0);
    pair_region_close(&r);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        pair_group_setup(NULL);
        connect_and_wait(argv[2], strcmp(argv[1], CONNECT_AND_FORK) == 0);
    }
    struct CMUnitTest tests[] = {
        cmocka_unit_test(the_death_of_the_peers_process_is_told),
        cmocka_unit_test(the_death_of_the_peers_process_is_told_although_a_child_lives_on),
        cmocka_unit_test_setup_teardown(a_forked_childs_domain_close_leaves_the_parent_alone,
                                        pair_setup, pair_teardown),
    };

    return PAIR_RUN("transport_process", tests);
}
