/* SPDX-License-Identifier: Apache-2.0 */
/* A peer of transport ofi that is played by hand, with libfabric itself: it may break every rule. Beside it is a pair of good
 * ones. ROS2_TEST_TRANSPORT names the variant. */
#ifndef TESTS_OFI_PEER_H
#define TESTS_OFI_PEER_H

#include "tests/conformance/transport_pair.h"

#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>

#include "transports/ofi/endpoint.h"

#define MUST(call) assert_int_equal((int)(call), 0)

struct ofi_peer {
    struct pair pair;
    struct pair_side victim; /* the domain's end of the hostile connection */
    struct ros2_listener *listener;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_eq *eq;
    struct fid_cq *cq;
    struct fid_ep *ep;
    uint32_t event; /* how its connect ended; 0: not yet, UINT32_MAX: refused */
    uint8_t received[OFI_WINDOW][OFI_FRAGMENT];
    uint8_t out[8][2 * OFI_FRAGMENT];
    struct fid_mr *mr; /* of this struct, where the provider asks for that */
    unsigned sent;
};

/* Fixture of a test: *state is the peer. */
int ofi_peer_setup(void **state);
int ofi_peer_teardown(void **state);
/* Progress on all sides. */
void ofi_peer_turn(struct ofi_peer *h);
#define ofi_peer_until(h, condition)                                 \
    do {                                                             \
        uint64_t end_ns_ = pair_now_ns() + PAIR_DEADLINE_NS;         \
        while (!(condition)) {                                       \
            ofi_peer_turn(h);                                        \
            if (pair_now_ns() > end_ns_)                             \
                fail_msg("not within the deadline: %s", #condition); \
        }                                                            \
    } while (0)

/* Begins to connect, with this greeting (to h->listener, which is made when it is NULL); or with a good one, and is connected. */
void ofi_peer_dial(struct ofi_peer *h, const void *greeting, size_t len);
void ofi_peer_dial_well(struct ofi_peer *h, uint16_t window);
/* What libfabric wants to have with memory of h. */
void *ofi_peer_desc(const struct ofi_peer *h);
/* A fragment with that header and len bytes of payload. */
void ofi_peer_say(struct ofi_peer *h, struct ofi_header header, size_t len);
/* The good pair is not harmed. */
void ofi_peer_others_go_on(struct ofi_peer *h);

#endif
