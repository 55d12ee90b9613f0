/* SPDX-License-Identifier: Apache-2.0 */
/* Playing a peer of transport tcp by hand. Owner: the test's thread. */
#include "config.h"

#include "tests/unit/tcp_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void accept_victim(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct hostile *h = arg;

    (void)listener;
    if (h->victim.ep)
        pair_ops->ep_abort(h->victim.ep);
    h->victim = (struct pair_side){.domain = h->pair.b.domain, .ep = ep};
    h->accepted++;
    pair_ops->ep_set_handler(ep, &pair_handler, &h->victim);
}

int hostile_setup(void **state)
{
    struct hostile *h = calloc(1, sizeof *h);
    char address[128];

    assert_non_null(h);
    pair_open(&h->pair, &(struct pair_options){.b_max_message = 4096});
    assert_int_equal(
        pair_ops->listen(h->pair.b.domain, "127.0.0.1:0", accept_victim, h, &h->listener), 0);
    assert_int_equal(pair_ops->listener_address(h->listener, address, sizeof address), 0);
    h->port = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
    pair_region_open(&h->region, &h->pair.b, &h->pair.a, 64, ROS2_REGION_REMOTE_WRITE);
    *state = h;
    return 0;
}

int hostile_teardown(void **state)
{
    struct hostile *h = *state;

    if (h->victim.ep)
        pair_ops->ep_abort(h->victim.ep);
    pair_region_close(&h->region);
    pair_close(&h->pair);
    free(h);
    return 0;
}

int hostile_dial_socket(struct hostile *h, int fd)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(h->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

int hostile_dial(struct hostile *h)
{
    const int before = h->accepted;
    const int fd = hostile_dial_socket(h, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

    pair_until(&h->pair, h->accepted == before + 1);
    return fd;
}

void hostile_say(int fd, const void *bytes, size_t len)
{
    /* The other end may have hung up by now. */
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

    assert_true(n == (ssize_t)len || errno == EPIPE || errno == ECONNRESET);
}

void hostile_leave(struct hostile *h, int fd)
{
    close(fd);
    pair_until(&h->pair, h->victim.closed);
    pair_ops->ep_abort(h->victim.ep);
    h->victim.ep = NULL;
}

void hostile_others_go_on(struct hostile *h)
{
    const uint64_t messages = h->pair.b.messages;

    pair_send(&h->pair, &h->pair.a, "good", 4);
    pair_until(&h->pair, h->pair.b.messages == messages + 1);
    assert_int_equal(h->pair.a.closed + h->pair.b.closed, 0);
}

/* -- frames by hand -- */

void bytes_add(struct bytes *b, const void *bytes, size_t len)
{
    assert_true(b->len + len <= sizeof b->at);
    memcpy(b->at + b->len, bytes, len);
    b->len += len;
}

void bytes_add_header(struct bytes *b, struct tcp_header header)
{
    uint8_t bytes[TCP_HEADER_LEN];

    tcp_header_encode(&header, bytes);
    bytes_add(b, bytes, sizeof bytes);
}

void bytes_add_segment(struct bytes *b, uint64_t token, uint64_t offset, uint64_t len)
{
    const struct tcp_segment segment = {token, offset, len};
    uint8_t bytes[TCP_SEGMENT_LEN];

    tcp_segment_encode(&segment, bytes);
    bytes_add(b, bytes, sizeof bytes);
}
