/* SPDX-License-Identifier: Apache-2.0 */
/* A peer of transport tcp that is played by hand, byte by byte, and what tests with one have in common: a domain with a good
 * connection, and that domain's end of the hostile one. Owner: the test's thread. */
#ifndef TCP_PEER_H
#define TCP_PEER_H

#include "tests/conformance/transport_pair.h"
#include "transports/tcp/frame.h"

struct hostile {
    struct pair pair;
    struct pair_side victim; /* the domain's end of the hostile connection */
    int accepted;
    struct ros2_listener *listener;
    uint16_t port;
    struct pair_region region; /* writable for peers of the domain */
};
int hostile_setup(void **state);
int hostile_teardown(void **state);
/* Connects a socket of the caller, which is accepted some time. */
int hostile_dial_socket(struct hostile *h, int fd);
/* A plain connection to the domain, accepted by it. */
int hostile_dial(struct hostile *h);
/* The other end may have hung up by now. */
void hostile_say(int fd, const void *bytes, size_t len);
/* Hangs up, the victim is freed. */
void hostile_leave(struct hostile *h, int fd);
/* The good connection still works. */
void hostile_others_go_on(struct hostile *h);

/* -- frames by hand -- */

struct bytes {
    uint8_t at[8192];
    size_t len;
};
void bytes_add(struct bytes *b, const void *bytes, size_t len);
void bytes_add_header(struct bytes *b, struct tcp_header header);
void bytes_add_segment(struct bytes *b, uint64_t token, uint64_t offset, uint64_t len);

#endif
