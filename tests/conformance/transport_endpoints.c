/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: the life of listeners and endpoints while nothing goes wrong but numbers. See also
 * transport_ends.c for how connections end. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

/* -- addresses -- */

static void addresses_that_are_none_are_refused(void **state)
{
    static const char too_long[] =
        "/a/path/that/is/longer/than/the/107/bytes/that/an/address/of/a/socket/can/"
        "take/in/this/system/and/in/many/others/too";
    static const char *const path[] = {
        "", "127.0.0.1:1", "relative/path", ".", "/", "/tmp/", too_long,
    };
    static const char *const numeric[] = {
        "",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:70000",
        "127.0.0.1:-1",
        "localhost:1",
        "[::1]",
        "[::1:1",
        "::1:1",
        "127.0.0.1:1x",
        "[127.0.0.1]:1",
        "[::1%]:1",
        "127.1:1",
        "[]:1",
        "[:1",
        "127.0.0.1: 1",
        "[::1%nosuchinterface]:1",
    };
    struct pair *p = *state;
    const bool paths = pair_has(ROS2_TRANSPORT_MAP_PEER);
    const char *const *address = paths ? path : numeric;
    const size_t count = paths ? sizeof path / sizeof path[0] : sizeof numeric / sizeof numeric[0];

    for (size_t i = 0; i < count; i++) {
        struct ros2_listener *listener = NULL;
        struct ros2_ep *ep = NULL;
        assert_int_equal(pair_ops->listen(p->b.domain, address[i], (ros2_accept_fn *)(uintptr_t)1,
                                          NULL, &listener),
                         -EINVAL);
        assert_int_equal(pair_ops->connect(p->a.domain, address[i], &pair_handler, NULL, &ep),
                         -EINVAL);
        assert_null(listener);
        assert_null(ep);
    }
}

static void an_address_in_use_is_refused(void **state)
{
    struct pair *p = *state;
    struct ros2_listener *listener = NULL;

    assert_int_equal(
        pair_ops->listen(p->b.domain, p->address, (ros2_accept_fn *)(uintptr_t)1, NULL, &listener),
        -EADDRINUSE);
    assert_null(listener);
}

static void both_ends_know_their_peer(void **state)
{
    struct pair *p = *state;
    char text[128];

    assert_int_equal(pair_ops->ep_peer(p->a.ep, text, sizeof text), 0);
    assert_string_equal(text, p->address);
    assert_int_equal(pair_ops->ep_peer(p->b.ep, text, sizeof text), 0);
    if (pair_has(ROS2_TRANSPORT_MAP_PEER))
        assert_memory_equal(text, "unix uid ", 9);
    else
        assert_memory_equal(text, pair_host(false), strlen(pair_host(false)));
    assert_int_equal(pair_ops->ep_peer(p->a.ep, text, 5), -ENOSPC);
    assert_int_equal(pair_ops->listener_address(p->listener, text, 5), -ENOSPC);
    assert_int_equal(pair_ops->listener_address(p->listener, text, strlen(p->address)), -ENOSPC);
    assert_int_equal(pair_ops->listener_address(p->listener, text, strlen(p->address) + 1), 0);
}

/* -- many -- */

struct crowd {
    struct pair_side *server;
    int accepted, max;
};

static void accept_one(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct crowd *crowd = arg;

    (void)listener;
    assert_true(crowd->accepted < crowd->max);
    struct pair_side *side = &crowd->server[crowd->accepted++];
    side->ep = ep;
    pair_ops->ep_set_handler(ep, &pair_handler, side);
}

static void reply_ten(struct pair_side *side, const uint8_t *msg, size_t len)
{
    const struct iovec iov = {(void *)(uintptr_t)msg, len};

    for (int i = 0; i < 10; i++)
        assert_int_equal(pair_ops->send(side->ep, &iov, 1, NULL), 0);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    assert_int_equal(inet_pton(AF_INET6, pair_host(true), &any.sin6_addr), 1);
    const bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof any) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static void ipv6_works_where_the_host_has_it(void **state)
{
    struct pair p = {0};
    struct crowd crowd = {&p.b, 0, 1};
    char any_port[128];

    (void)state;
    if (!has_ipv6())
        skip();
    snprintf(any_port, sizeof any_port, "[%s]:0", pair_host(true));
    p.b.domain = pair_domain_for(any_port, NULL);
    const int rc = pair_ops->listen(p.b.domain, any_port, accept_one, &crowd, &p.listener);
    if (rc == -EAFNOSUPPORT) {
        assert_int_equal(pair_ops->connect(p.b.domain, "[::1]:1", &pair_handler, &p.a, &p.a.ep),
                         -EAFNOSUPPORT);
        pair_ops->domain_close(p.b.domain);
        return; /* it says so: that is all that is asked */
    }
    assert_int_equal(rc, 0);
    assert_int_equal(pair_ops->listener_address(p.listener, p.address, sizeof p.address), 0);
    assert_memory_equal(p.address, any_port, strlen(any_port) - 1);
    p.a.domain = pair_domain_for(NULL, p.address);
    assert_int_equal(pair_ops->connect(p.a.domain, p.address, &pair_handler, &p.a, &p.a.ep), 0);
    pair_until(&p, p.a.connected && crowd.accepted);
    pair_send(&p, &p.a, "six", 3);
    pair_until(&p, p.b.messages == 1);
    pair_close(&p);
}

static void hundreds_of_endpoints_each_get_their_own(void **state)
{
    enum { COUNT = 300, ROUNDS = 5 };
    struct pair *p = *state;
    struct pair_side *client = calloc(COUNT, sizeof *client),
                     *server = calloc(COUNT, sizeof *server);
    struct crowd crowd = {server, 0, COUNT};
    struct ros2_listener *listener;
    char address[128];
    int connected = 0;

    assert_true(client && server);
    assert_int_equal(
        pair_ops->listen(p->b.domain, pair_listen_address(), accept_one, &crowd, &listener), 0);
    assert_int_equal(pair_ops->listener_address(listener, address, sizeof address), 0);
    for (int i = 0; i < COUNT; i++) {
        client[i].domain = p->a.domain;
        assert_int_equal(
            pair_ops->connect(p->a.domain, address, &pair_handler, &client[i], &client[i].ep), 0);
    }
    while (connected < COUNT) {
        pair_progress(p);
        connected = 0;
        for (int i = 0; i < COUNT; i++)
            connected += client[i].connected;
    }
    pair_until(p, crowd.accepted == COUNT);
    for (int i = 0; i < COUNT; i++)
        server[i].on_message = reply_ten;
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++)
            pair_send(p, &client[i], &i, sizeof i);
        for (int i = 0; i < COUNT; i++) {
            pair_until(p, client[i].messages == 10u * (unsigned)round);
            assert_memory_equal(client[i].last, &i, sizeof i);
        }
    }
    /* Half of them end; the others go on. */
    for (int i = 0; i < COUNT; i += 2) {
        if (i % 4)
            pair_ops->ep_close(client[i].ep);
        else
            pair_ops->ep_abort(client[i].ep);
    }
    int closed = 0;
    while (closed < COUNT / 2) {
        pair_progress(p);
        closed = 0;
        for (int i = 0; i < COUNT; i++)
            closed += server[i].closed;
    }
    for (int i = 1; i < COUNT; i += 2)
        pair_send(p, &client[i], &i, sizeof i);
    for (int i = 1; i < COUNT; i += 2)
        pair_until(p, client[i].messages == 10 * (ROUNDS + 1));
    for (int i = 0; i < COUNT; i++) {
        if (i % 2)
            pair_ops->ep_abort(client[i].ep);
        pair_ops->ep_abort(server[i].ep);
    }
    pair_ops->listener_close(listener);
    free(client);
    free(server);
}

/* One endpoint that always has something must not starve the others. */
static void a_flood_on_one_endpoint_does_not_starve_another(void **state)
{
    struct pair *p = *state;
    struct pair_side server[8] = {{0}}, client[8] = {{0}};
    struct crowd crowd = {server, 0, 8};
    struct ros2_listener *listener;
    char address[128];
    uint8_t bytes[4096] = {0};
    const struct iovec iov = {bytes, sizeof bytes};

    assert_int_equal(
        pair_ops->listen(p->b.domain, pair_listen_address(), accept_one, &crowd, &listener), 0);
    assert_int_equal(pair_ops->listener_address(listener, address, sizeof address), 0);
    for (int i = 0; i < 8; i++) {
        client[i].domain = p->a.domain;
        assert_int_equal(
            pair_ops->connect(p->a.domain, address, &pair_handler, &client[i], &client[i].ep), 0);
        pair_until(p, client[i].connected && crowd.accepted == i + 1);
    }
    for (uint64_t quiet = 1; quiet <= 50; quiet++) {
        for (int i = 0; i < 8; i++)
            while (pair_ops->send(client[0].ep, &iov, 1, NULL) == 0)
                ;
        pair_send(p, &client[5], "q", 1);
        /* One turn of each side may not be enough, a handful is; the flood goes on meanwhile. */
        for (int turn = 0; turn < 8 && server[5].messages < quiet; turn++) {
            while (pair_ops->send(client[0].ep, &iov, 1, NULL) == 0)
                ;
            pair_progress(p);
        }
        assert_int_equal(server[5].messages, quiet);
    }
    for (int i = 0; i < 8; i++) {
        pair_ops->ep_abort(client[i].ep);
        pair_ops->ep_abort(server[i].ep);
    }
    pair_ops->listener_close(listener);
}

/* -- listeners -- */

static void a_paused_listener_accepts_later(void **state)
{
    struct pair *p = *state;
    struct pair_side server = {0}, client = {.domain = p->a.domain};
    struct crowd crowd = {&server, 0, 1};
    struct ros2_listener *listener;
    char address[128];

    assert_int_equal(
        pair_ops->listen(p->b.domain, pair_listen_address(), accept_one, &crowd, &listener), 0);
    assert_int_equal(pair_ops->listener_address(listener, address, sizeof address), 0);
    pair_ops->listener_pause(listener, 1);
    assert_int_equal(pair_ops->connect(p->a.domain, address, &pair_handler, &client, &client.ep),
                     0);
    pair_settle(p);
    assert_int_equal(crowd.accepted, 0);
    assert_int_equal(client.closed, 0);
    if (!(pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY)) {
        /* Nor does it keep its owner awake. */
        assert_int_equal(pair_ops->domain_arm(p->b.domain), 0);
        struct pollfd fd = {.fd = pair_ops->domain_fd(p->b.domain), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 0), 0);
    }
    pair_ops->listener_pause(listener, 0);
    pair_until(p, crowd.accepted == 1 && client.connected);
    pair_ops->ep_abort(client.ep);
    pair_ops->ep_abort(server.ep);
    pair_ops->listener_close(listener);
}

static void a_path_that_nobody_listens_on_is_taken_over(void **state)
{
    struct pair *p = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct ros2_listener *listener = NULL;
    const char *path = pair_listen_address();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* Left behind by a process that is gone. */
    memcpy(at.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    assert_int_equal(
        pair_ops->listen(p->b.domain, path, (ros2_accept_fn *)(uintptr_t)1, NULL, &listener), 0);
    pair_ops->listener_close(listener);
    assert_int_equal(access(path, F_OK), -1); /* it goes with its listener */
    /* But nothing else is: whose file this is, is not known. */
    listener = NULL;
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(
        pair_ops->listen(p->b.domain, path, (ros2_accept_fn *)(uintptr_t)1, NULL, &listener),
        -EADDRINUSE);
    assert_null(listener);
    assert_int_equal(unlink(path), 0);
}

static void accept_and_forget(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    int *count = arg;

    (void)listener;
    if (++*count % 2)
        pair_ops->ep_abort(ep); /* else no handler is set, which is the same */
}

static void an_endpoint_that_nobody_wants_is_closed(void **state)
{
    struct pair *p = *state;
    struct ros2_listener *listener;
    char address[128];
    int count = 0;

    assert_int_equal(
        pair_ops->listen(p->b.domain, pair_listen_address(), accept_and_forget, &count, &listener),
        0);
    assert_int_equal(pair_ops->listener_address(listener, address, sizeof address), 0);
    for (int i = 0; i < 4; i++) {
        struct pair_side client = {.domain = p->a.domain};
        assert_int_equal(
            pair_ops->connect(p->a.domain, address, &pair_handler, &client, &client.ep), 0);
        pair_until(p, client.closed);
        pair_ops->ep_abort(client.ep);
    }
    assert_int_equal(count, 4);
    pair_ops->listener_close(listener);
}

static void accept_and_close_listener(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct pair_side *side = arg;

    side->ep = ep;
    pair_ops->ep_set_handler(ep, &pair_handler, side);
    pair_ops->listener_close(listener);
}

static void a_listener_may_close_in_its_own_callback(void **state)
{
    struct pair *p = *state;
    struct pair_side server = {0}, client = {.domain = p->a.domain};
    struct ros2_listener *listener;
    char address[128];

    assert_int_equal(pair_ops->listen(p->b.domain, pair_listen_address(), accept_and_close_listener,
                                      &server, &listener),
                     0);
    assert_int_equal(pair_ops->listener_address(listener, address, sizeof address), 0);
    assert_int_equal(pair_ops->connect(p->a.domain, address, &pair_handler, &client, &client.ep),
                     0);
    pair_until(p, client.connected && server.ep);
    pair_send(p, &client, "x", 1);
    pair_until(p, server.messages == 1);
    pair_ops->ep_abort(client.ep);
    pair_ops->ep_abort(server.ep);
}

int main(void)
{
#define CASE(name)               cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
#define CASE_IF(condition, name) PAIR_CASE_IF(condition, CASE(name))
    struct CMUnitTest tests[] = {
        CASE(addresses_that_are_none_are_refused),
        CASE(an_address_in_use_is_refused),
        CASE(both_ends_know_their_peer),
        CASE_IF(!pair_has(ROS2_TRANSPORT_MAP_PEER), ipv6_works_where_the_host_has_it),
        CASE(hundreds_of_endpoints_each_get_their_own),
        CASE(a_flood_on_one_endpoint_does_not_starve_another),
        CASE(a_paused_listener_accepts_later),
        CASE_IF(pair_has(ROS2_TRANSPORT_MAP_PEER), a_path_that_nobody_listens_on_is_taken_over),
        CASE(an_endpoint_that_nobody_wants_is_closed),
        CASE(a_listener_may_close_in_its_own_callback),
    };

    return PAIR_RUN("transport_endpoints", tests);
}
