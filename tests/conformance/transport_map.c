/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: mapping a peer's region, for transports with MAP_PEER. Above all: memory that its owner has back is out of
 * everyone's reach. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <string.h>

/* Side a maps memory of side b. */
#define WRITE ROS2_REGION_REMOTE_WRITE
#define READ  ROS2_REGION_REMOTE_READ

static int map(struct pair *p, unsigned right, struct ros2_remote remote, uint8_t **addr_p,
               struct ros2_mapping *mapping)
{
    void *addr = NULL;
    int rc = pair_ops->region_map(p->a.ep, right, &remote, &addr, mapping);

    assert_true((rc == 0) == (addr != NULL)); /* results are untouched on failure */
    *addr_p = addr;
    return rc;
}

static void unmap(struct pair *p, struct ros2_mapping *mapping)
{
    pair_ops->region_unmap(p->a.domain, mapping);
}

static void a_mapping_is_the_owners_memory(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping mapping;
    struct pair_region r;
    uint8_t *addr;

    pair_region_open(&r, &p->b, &p->a, 10000, READ | WRITE);
    pair_pattern(r.bytes, r.len, 3);
    assert_int_equal(map(p, READ | WRITE, pair_remote(&r, 77, 9000), &addr, &mapping), 0);
    assert_memory_equal(addr, r.bytes + 77, 9000);
    memset(addr, 0xbb, 9000);
    assert_int_equal(r.bytes[77], 0xbb);
    assert_int_equal(r.bytes[77 + 8999], 0xbb);
    r.bytes[100] = 0x11;
    assert_int_equal(addr[100 - 77], 0x11);
    unmap(p, &mapping);
    pair_region_close(&r);
}

static void a_mapping_that_is_not_granted_is_refused(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping mapping;
    struct pair_region r, readable;
    uint8_t *addr;

    pair_region_open(&r, &p->b, &p->a, 1000, WRITE);
    pair_region_open(&readable, &p->b, &p->a, 1000, READ);
    assert_int_equal(map(p, READ, pair_remote(&r, 0, 10), &addr, &mapping), -EACCES);
    assert_int_equal(map(p, WRITE, pair_remote(&readable, 0, 10), &addr, &mapping), -EACCES);
    assert_int_equal(map(p, WRITE, pair_remote(&r, 991, 10), &addr, &mapping), -ERANGE);
    assert_int_equal(map(p, WRITE, pair_remote(&r, UINT64_MAX - 4, 10), &addr, &mapping), -ERANGE);
    assert_int_equal(map(p, WRITE, pair_remote(&r, 1, UINT64_MAX), &addr, &mapping), -ERANGE);
    struct ros2_remote none = pair_remote(&r, 0, 10);
    for (int bit = 0; bit < 64; bit++) {
        none.token = r.token ^ 1ull << bit;
        if (none.token == readable.token)
            continue;
        assert_int_equal(map(p, WRITE, none, &addr, &mapping), -EACCES);
    }
    none.token = 0;
    assert_int_equal(map(p, WRITE, none, &addr, &mapping), -EACCES);
    /* Refusals leave nothing behind. */
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    assert_int_equal(p->a.closed + p->b.closed, 0);
    pair_region_close(&r);
    pair_region_close(&readable);
}

static void a_stale_token_maps_nothing(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping mapping;
    struct pair_region r, next;
    struct pair_op op;
    uint8_t *addr, byte = 0;

    pair_region_open(&r, &p->b, &p->a, 1000, READ | WRITE);
    const struct ros2_remote stale = pair_remote(&r, 0, 1);
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    assert_int_equal(map(p, READ, stale, &addr, &mapping), -EACCES);
    pair_region_open(&next, &p->b, &p->a, 1000, READ | WRITE);
    assert_int_equal(map(p, READ, stale, &addr, &mapping), -EACCES);
    pair_get(&p->a, &byte, 1, stale, &op);
    pair_until(p, op.calls == 1);
    assert_int_equal(op.status, -EACCES);
    pair_region_close(&next);
    pair_region_close(&r);
}

static void a_mapped_region_is_busy_until_it_is_unmapped(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping first, second;
    struct pair_region r;
    uint8_t *addr;

    pair_region_open(&r, &p->b, &p->a, 1000, READ | WRITE);
    assert_int_equal(map(p, READ, pair_remote(&r, 0, 10), &addr, &first), 0);
    assert_int_equal(map(p, READ, pair_remote(&r, 5, 10), &addr, &second), 0);
    assert_int_equal(pair_ops->region_deregister(r.region), -EBUSY);
    /* From the first attempt on nothing new is let in. */
    struct ros2_mapping third;
    assert_int_equal(map(p, READ, pair_remote(&r, 0, 10), &addr, &third), -EACCES);
    unmap(p, &first);
    assert_int_equal(pair_ops->region_deregister(r.region), -EBUSY);
    unmap(p, &second);
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    pair_region_close(&r);
}

/* What becomes of a mapping when its owner ends the connection. */
static void abort_takes_the_memory_back(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping mapping;
    struct pair_region r;
    uint8_t *addr;

    pair_region_open(&r, &p->b, &p->a, 100000, READ | WRITE);
    assert_int_equal(map(p, WRITE, pair_remote(&r, 0, r.len), &addr, &mapping), 0);
    addr[10] = 1;
    assert_int_equal(pair_ops->region_deregister(r.region), -EBUSY);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    assert_int_equal(r.bytes[10], 1); /* what was written before is kept */
    memset(addr, 0xbb, r.len);        /* neither a fault, nor of any effect */
    r.bytes[10] = PAIR_FILL;
    pair_region_check(&r, 0, 0);
    pair_until(p, p->a.closed);
    memset(addr, 0xdd, r.len);
    pair_ops->ep_abort(p->a.ep);
    p->a.ep = NULL;
    memset(addr, 0xee, r.len);
    pair_region_check(&r, 0, 0);
    unmap(p, &mapping);
    pair_region_close(&r);
}

/* The region outlives the connection that held it: it has other pages, and the same token. */
static void a_region_taken_back_serves_the_next_connection(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping old, new;
    struct pair_region r;
    struct pair_op op;
    uint8_t *addr;

    pair_region_open(&r, &p->b, &p->a, 5000, READ | WRITE);
    assert_int_equal(map(p, WRITE, pair_remote(&r, 0, r.len), &addr, &old), 0);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    pair_until(p, p->a.closed);
    pair_ops->ep_abort(p->a.ep);
    memset(&p->a.connected, 0, sizeof p->a.connected);
    p->a.closed = 0;
    assert_int_equal(pair_ops->connect(p->a.domain, p->address, &pair_handler, &p->a, &p->a.ep), 0);
    pair_until(p, p->a.connected && p->b.ep);
    memset(addr, 0xbb, r.len);
    pair_put(&p->a, "fresh", 5, pair_remote(&r, 100, 5), "m", 1, &op);
    pair_until(p, p->b.messages == 1);
    assert_memory_equal(r.bytes + 100, "fresh", 5);
    pair_region_check(&r, 100, 105);
    assert_int_equal(map(p, READ, pair_remote(&r, 100, 5), &addr, &new), 0);
    assert_memory_equal(addr, "fresh", 5);
    unmap(p, &new);
    unmap(p, &old);
    pair_region_close(&r);
}

static void a_mapping_survives_its_connection(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping mapping;
    struct pair_region r;
    uint8_t *addr;

    pair_region_open(&r, &p->b, &p->a, 1000, READ);
    assert_int_equal(map(p, READ, pair_remote(&r, 0, 1000), &addr, &mapping), 0);
    pair_ops->ep_close(p->a.ep);
    p->a.ep = NULL;
    pair_until(p, p->b.closed);
    pair_settle(p);
    assert_int_equal(addr[999], PAIR_FILL);
    /* Its owner's end of the connection is not freed yet: the mapping still counts. */
    assert_int_equal(pair_ops->region_deregister(r.region), -EBUSY);
    pair_ops->ep_close(p->b.ep);
    p->b.ep = NULL;
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    assert_int_equal(addr[999], PAIR_FILL);
    unmap(p, &mapping);
    pair_region_close(&r);
}

static void the_owner_may_free_mapped_memory(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping mapping;
    struct pair_region r;
    uint8_t *addr;
    volatile uint8_t sum = 0;

    pair_region_open(&r, &p->b, &p->a, 100000, READ);
    assert_int_equal(map(p, READ, pair_remote(&r, 0, r.len), &addr, &mapping), 0);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    pair_region_close(&r);
    for (size_t i = 0; i < 100000; i++)
        sum = (uint8_t)(sum + addr[i]); /* no fault */
    unmap(p, &mapping);
}

/* However many allocations a program has: what counts is what is registered at a time. */
static void more_allocations_than_a_peer_keeps_mapped(void **state)
{
    enum { COUNT = 300, LEN = 5000 };
    struct pair *p = *state;
    uint8_t *memory[COUNT];
    uint8_t src[LEN];

    for (int i = 0; i < COUNT; i++)
        memory[i] = pair_alloc(LEN);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            struct ros2_region *region = NULL;
            struct pair_op op;
            assert_int_equal(pair_ops->region_register(p->b.domain, memory[i], LEN, WRITE,
                                                       ROS2_MEMORY_HOST, &region),
                             0);
            const struct ros2_remote remote = {.token = pair_ops->region_token(region), .len = LEN};
            pair_pattern(src, LEN, (uint32_t)(i + round));
            pair_put(&p->a, src, LEN, remote, "x", 1, &op);
            pair_until(p, op.calls == 1 && p->b.messages == (uint64_t)(round * COUNT + i + 1));
            assert_int_equal(op.status, 0);
            assert_memory_equal(memory[i], src, LEN);
            assert_int_equal(pair_ops->region_deregister(region), 0);
        }
    }
    for (int i = 0; i < COUNT; i++)
        pair_free(memory[i], LEN);
}

static void memory_that_is_not_shared_is_refused(void **state)
{
    struct pair *p = *state;
    struct ros2_region *region = NULL;
    uint8_t bytes[100];

    assert_int_equal(pair_ops->region_register(p->b.domain, bytes, sizeof bytes, READ,
                                               ROS2_MEMORY_HOST, &region),
                     -ENOTSUP);
    uint8_t *shared = pair_alloc(4096);
    assert_int_equal(
        pair_ops->region_register(p->b.domain, shared, 4097, READ, ROS2_MEMORY_HOST, &region),
        -ENOTSUP);
    assert_null(region);
    pair_free(shared, 4096);
}

static void a_put_to_a_token_that_was_taken_back_lands_nowhere(void **state)
{
    struct pair *p = *state;
    struct ros2_mapping mapping;
    struct pair_region r;
    struct pair_op op;
    uint8_t *addr;

    pair_region_open(&r, &p->b, &p->a, 1000, READ | WRITE);
    assert_int_equal(map(p, READ, pair_remote(&r, 0, 10), &addr, &mapping), 0);
    assert_int_equal(pair_ops->region_deregister(r.region), -EBUSY);
    pair_put(&p->a, "late", 4, pair_remote(&r, 0, 4), "m", 1, &op);
    pair_until(p, op.calls == 1 && p->b.messages == 1);
    pair_region_check(&r, 0, 0);
    unmap(p, &mapping);
    pair_region_close(&r);
}

int main(void)
{
#define CASE(name) \
    PAIR_CASE_IF(maps, cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown))
    const bool maps = pair_has(ROS2_TRANSPORT_MAP_PEER);
    struct CMUnitTest tests[] = {
        CASE(a_mapping_is_the_owners_memory),
        CASE(a_mapping_that_is_not_granted_is_refused),
        CASE(a_stale_token_maps_nothing),
        CASE(a_mapped_region_is_busy_until_it_is_unmapped),
        CASE(abort_takes_the_memory_back),
        CASE(a_region_taken_back_serves_the_next_connection),
        CASE(a_mapping_survives_its_connection),
        CASE(the_owner_may_free_mapped_memory),
        CASE(more_allocations_than_a_peer_keeps_mapped),
        CASE(memory_that_is_not_shared_is_refused),
        CASE(a_put_to_a_token_that_was_taken_back_lands_nowhere),
    };

    return PAIR_RUN("transport_map", tests);
}
