/* SPDX-License-Identifier: Apache-2.0 */
/* A peer of transport ucx that is UCX by hand, and may break the transport's rules. */
#ifndef TESTS_UNIT_UCX_PEER_H
#define TESTS_UNIT_UCX_PEER_H

#include <ucp/api/ucp.h>

#include "tests/conformance/transport_pair.h"
#include "transports/ucx/wire.h"

#define PEER_NUMBER   77u
#define PEER_GREETING ((uint64_t)UCX_WIRE_VERSION << 32 | UCX_WIRE_MAGIC)

struct peer {
    struct pair pair; /* bystanders; the victim belongs to the domain of b */
    struct pair_side victim;
    struct pair_region region;
    struct ros2_listener *listener;
    char address[128];
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h ep;
    int fd;          /* of the out-of-band socket */
    uint64_t number; /* of the connection, at the victim */
    bool welcome;    /* it has heard our greeting */
    uint8_t header[UCX_HEADER];
};

#define PEER_UNTIL(h, condition)                                     \
    do {                                                             \
        uint64_t end_ns_ = pair_now_ns() + PAIR_DEADLINE_NS;         \
        while (!(condition)) {                                       \
            peer_progress(h);                                        \
            if (pair_now_ns() > end_ns_)                             \
                fail_msg("not within the deadline: %s", #condition); \
        }                                                            \
    } while (0)

/* The head of the exchange, docs/PROTOCOL-ucx.md. */
struct peer_head {
    uint32_t magic, version;
    uint64_t number;
    uint32_t len, reserved;
};

/* The length is to be filled in. */
static const struct peer_head peer_usual = {UCX_WIRE_MAGIC, UCX_WIRE_VERSION, PEER_NUMBER, 0, 0};

/* Of everybody. */
void peer_progress(struct peer *h);
/* Whether the victim has closed the connection. */
bool peer_is_over(const struct peer *h);
/* Sends what h->header holds, cut to header_len. */
void peer_say_bytes(struct peer *h, size_t header_len, const void *data, size_t len,
                    uint32_t flags);
/* An active message. */
void peer_say(struct peer *h, struct ucx_header header, const void *data, size_t len);
/* The head, and what follows it. */
void peer_say_head(const struct peer *h, const struct peer_head *head, const void *address,
                   size_t len);
/* As who keeps the rules does it: exchanges addresses, and makes an endpoint. */
void peer_exchange(struct peer *h);
/* A pair of bystanders, and a peer by hand that is connected to the listener of one of them. */
int peer_setup(void **state);
int peer_teardown(void **state);
/* Goes on to a connection that stands. */
void peer_greet(struct peer *h);
void peer_others_go_on(struct peer *h);
/* The victim ends the connection, and nobody else's. */
void peer_is_closed_for_it(struct peer *h);
void peer_is_not_let_in(struct peer *h);

#endif
