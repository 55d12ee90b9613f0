/* SPDX-License-Identifier: Apache-2.0 */
/* Transport ofi on a device (run where there is one, tests/rdma): whatever a peer that speaks for itself writes to or reads
 * from, it reaches no byte that it was not given, loses its connection, and the others go on. */
#include "config.h"

#include "tests/unit/ofi_peer.h"

#include <endian.h>
#include <rdma/fi_rma.h>
#include <stdlib.h>
#include <string.h>

enum { LEN = 8192, PART = 64 };
#define READ  ROS2_REGION_REMOTE_READ
#define WRITE ROS2_REGION_REMOTE_WRITE

/* As in a packed key: docs/PROTOCOL-ofi.md. */
struct key {
    uint64_t key, base;
};

static struct key unpack(const uint8_t *packed)
{
    struct key k;

    memcpy(&k, packed + 8, sizeof k);
    return (struct key){le64toh(k.key), le64toh(k.base)};
}

/* A region of the end that the hostile connection leads to. */
static void open_region(struct ofi_peer *h, struct pair_region *r, unsigned rights)
{
    h->victim.domain = h->pair.b.domain;
    pair_region_open(r, &h->victim, &h->pair.a, LEN, rights);
}

/* One transfer without a check of ours, and how it ended: 0, or the error of the provider. */
static int transfer(struct ofi_peer *h, bool write, uint64_t addr, uint64_t key)
{
    struct fi_cq_msg_entry done;
    struct fi_cq_err_entry failed = {0};
    void *context = h->out[1];

    memset(h->out[0], 0xee, PART);
    if (write)
        MUST(fi_write(h->ep, h->out[0], PART, ofi_peer_desc(h), 0, addr, key, context));
    else
        MUST(fi_read(h->ep, h->out[0], PART, ofi_peer_desc(h), 0, addr, key, context));
    for (uint64_t end_ns = pair_now_ns() + PAIR_DEADLINE_NS;;) {
        assert_true(pair_now_ns() < end_ns);
        pair_progress(&h->pair);
        ssize_t n = fi_cq_read(h->cq, &done, 1);
        if (n == 1 && done.op_context == context)
            return 0;
        if (n == -FI_EAVAIL && fi_cq_readerr(h->cq, &failed, 0) > 0 && failed.op_context == context)
            return failed.err;
    }
}

static void fails(struct ofi_peer *h, const struct pair_region *r, bool write, uint64_t addr,
                  uint64_t key)
{
    assert_int_not_equal(transfer(h, write, addr, key), 0);
    pair_region_check(r, 0, 0);
    for (int i = 0; i < PART; i++)
        assert_int_equal(h->out[0][i], 0xee);
    ofi_peer_until(h, h->victim.closed);
    ofi_peer_others_go_on(h);
}

static void what_was_given_is_reached(void **state)
{
    struct ofi_peer *h = *state;
    struct pair_region r;

    open_region(h, &r, READ | WRITE);
    ofi_peer_dial_well(h, OFI_WINDOW);
    const struct key k = unpack(r.key);
    assert_int_equal(transfer(h, true, k.base + 100, k.key), 0);
    pair_region_check(&r, 100, 100 + PART);
    assert_int_equal(r.bytes[100], 0xee);
    assert_int_equal(transfer(h, false, k.base, k.key), 0);
    assert_int_equal(h->out[0][0], PAIR_FILL);
    pair_region_close(&r);
}

static void try_with(void **state, bool write, unsigned rights, uint64_t offset, uint64_t key)
{
    struct ofi_peer *h = *state;
    struct pair_region r;

    open_region(h, &r, rights);
    ofi_peer_dial_well(h, OFI_WINDOW);
    const struct key k = unpack(r.key);
    fails(h, &r, write, k.base + offset, k.key + key);
    pair_region_close(&r);
}

static void a_put_over_the_end_lands_nowhere(void **state)
{
    try_with(state, true, WRITE, LEN - PART + 1, 0);
}
static void a_put_before_the_start_lands_nowhere(void **state)
{
    try_with(state, true, WRITE, (uint64_t)-1, 0);
}
static void a_get_over_the_end_reads_nothing(void **state)
{
    try_with(state, false, READ, LEN - 1, 0);
}
static void a_put_without_that_right_lands_nowhere(void **state)
{
    try_with(state, true, READ, 0, 0);
}
static void a_get_without_that_right_reads_nothing(void **state)
{
    try_with(state, false, WRITE, 0, 0);
}
static void a_guessed_key_opens_nothing(void **state)
{
    try_with(state, true, WRITE, 0, 1);
}

/* The region is of another domain, as another tenant's client is. */
static void a_key_of_another_domain_opens_nothing(void **state)
{
    struct ofi_peer *h = *state;
    struct pair_region r;

    pair_region_open(&r, &h->pair.a, &h->pair.b, LEN, READ | WRITE);
    ofi_peer_dial_well(h, OFI_WINDOW);
    const struct key k = unpack(r.key);
    fails(h, &r, true, k.base, k.key);
    pair_region_close(&r);
}

static void a_key_of_what_was_deregistered_opens_nothing(void **state)
{
    struct ofi_peer *h = *state;
    struct pair_region r;

    open_region(h, &r, READ | WRITE);
    ofi_peer_dial_well(h, OFI_WINDOW);
    const struct key k = unpack(r.key);
    MUST(pair_ops->region_deregister(r.region));
    r.region = NULL;
    fails(h, &r, true, k.base, k.key);
    pair_region_close(&r);
}

static void a_torn_down_connection_carries_nothing(void **state)
{
    struct ofi_peer *h = *state;
    struct pair_region r;

    open_region(h, &r, READ | WRITE);
    ofi_peer_dial_well(h, OFI_WINDOW);
    const struct key k = unpack(r.key);
    pair_ops->ep_abort(h->victim.ep);
    h->victim.ep = NULL;
    h->event = 0;
    MUST(fi_write(h->ep, h->out[0], PART, ofi_peer_desc(h), 0, k.base, k.key, NULL));
    ofi_peer_until(h, h->event == FI_SHUTDOWN);
    pair_region_check(&r, 0, 0);
    ofi_peer_others_go_on(h);
    pair_region_close(&r);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, ofi_peer_setup, ofi_peer_teardown)
    struct CMUnitTest tests[] = {
        CASE(what_was_given_is_reached),
        CASE(a_put_over_the_end_lands_nowhere),
        CASE(a_put_before_the_start_lands_nowhere),
        CASE(a_get_over_the_end_reads_nothing),
        CASE(a_put_without_that_right_lands_nowhere),
        CASE(a_get_without_that_right_reads_nothing),
        CASE(a_guessed_key_opens_nothing),
        CASE(a_key_of_another_domain_opens_nothing),
        CASE(a_key_of_what_was_deregistered_opens_nothing),
        CASE(a_torn_down_connection_carries_nothing),
    };

    return PAIR_RUN("ofi_keys", tests);
}
