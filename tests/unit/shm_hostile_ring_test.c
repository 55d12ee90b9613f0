/* SPDX-License-Identifier: Apache-2.0 */
/* Transport shm against peers that write what they like into the memory that both share: rings, tables of regions, pins. */
#include "config.h"

#include "tests/unit/shm_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

/* -- the ring -- */

static void indices_that_are_none_are_refused(void **state)
{
    /* Where the tail jumps to from where it is; room: the victim finds it when it sends. */
    static const struct {
        uint64_t tail, head;
        bool room;
    } jump[] = {
        {SHM_RING_BYTES + 16, 0, false}, {1, 0, false},         {8, 0, false},
        {UINT64_MAX - 15, 0, false},                        /* backwards */
        {1ull << 63, 0, false},          {0, 200000, true}, /* more than was written */
        {0, UINT64_MAX, true},           {0, 1ull << 63, true},
    };
    struct hostile *h = *state;

    for (size_t i = 0; i < sizeof jump / sizeof jump[0]; i++) {
        struct shm_peer_hand peer;
        hostile_join(h, &peer);
        for (int j = 0; j < 10; j++)
            shm_peer_record(&peer, SHM_MESSAGE, 4, 4, "good", 4);
        pair_until(&h->pair, h->victim.messages == 10);
        /* Wherever it leads, there is a record that would pass. */
        const struct shm_record good = {.len = 4, .type = SHM_MESSAGE, .total = 4};
        for (size_t at = 0; at < SHM_RING_BYTES; at += 2 * sizeof good)
            memcpy(&peer.ring->ring[0][at], &good, sizeof good);
        atomic_fetch_add(&peer.mine->tail, jump[i].tail);
        atomic_fetch_add(&peer.mine->head, jump[i].head);
        for (int j = 0; jump[i].room && !h->victim.closed; j++) {
            const uint8_t zeros[4096] = {0};
            const struct iovec iov = {(void *)(uintptr_t)zeros, sizeof zeros};
            assert_true(j < 100);
            assert_int_equal(pair_ops->send(h->victim.ep, &iov, 1, NULL), 0);
            pair_progress(&h->pair);
        }
        hostile_is_refused(h);
        assert_int_equal(h->victim.messages, 10);
        hostile_leave(h, &peer);
    }
}

static void a_tail_that_goes_back_is_refused(void **state)
{
    struct hostile *h = *state;
    struct shm_peer_hand peer;

    hostile_join(h, &peer);
    shm_peer_record(&peer, SHM_MESSAGE, 4, 4, "good", 4);
    pair_until(&h->pair, h->victim.messages == 1);
    atomic_store(&peer.mine->tail, 0);
    hostile_is_refused(h);
    hostile_leave(h, &peer);
}

static void records_that_break_a_rule_are_refused(void **state)
{
    static const struct {
        uint32_t type, len;
        uint64_t total;
        uint32_t there; /* bytes behind the header */
    } bad[] = {
        {0, 0, 0, 0},
        {5, 0, 0, 0},
        {UINT32_MAX, 0, 0, 0},
        {SHM_MESSAGE, 1, 1, 0}, /* longer than what was written */
        {SHM_MESSAGE, 17, 17, 16},
        {SHM_MESSAGE, UINT32_MAX, UINT32_MAX, 16},
        {SHM_MESSAGE, UINT32_MAX - 15, UINT32_MAX - 15, 16}, /* wraps to 0 when it is padded */
        {SHM_MESSAGE, SHM_RECORD_MAX + 1, SHM_RECORD_MAX + 1, SHM_RECORD_MAX + 16},
        {SHM_MESSAGE, 4, 5, 16},
        {SHM_MESSAGE, 4, 0, 16},
        {SHM_FRAGMENT, 4, 4, 16}, /* of a short message */
        {SHM_FRAGMENT, 0, 50000, 0},
        {SHM_FRAGMENT, 4, 60001, 16}, /* past the limit */
        {SHM_FRAGMENT, 4, UINT64_MAX, 16},
        {SHM_BYE, 1, 0, 16},
        {SHM_BYE, 0, 1, 0},
        {SHM_BREACH, 0, 0, 0},
        {SHM_BREACH, 4, 0, 16},
    };
    struct hostile *h = *state;
    uint8_t *zeros = calloc(1, SHM_RING_BYTES);

    assert_non_null(zeros);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct shm_peer_hand peer;
        hostile_join(h, &peer);
        shm_peer_record(&peer, bad[i].type, bad[i].len, bad[i].total, zeros, bad[i].there);
        hostile_is_refused(h);
        assert_int_equal(h->victim.messages, 0);
        hostile_leave(h, &peer);
    }
    free(zeros);
}

static void fragments_that_do_not_fit_together_are_refused(void **state)
{
    static const struct {
        uint32_t type, len;
        uint64_t total;
    } next[] = {
        {SHM_MESSAGE, 4, 4},          /* a message in between */
        {SHM_FRAGMENT, 1000, 50001},  /* of another message */
        {SHM_FRAGMENT, 10001, 50000}, /* longer than it said */
        {SHM_BYE, 0, 0},              /* an end in the middle */
    };
    struct hostile *h = *state;
    uint8_t *zeros = calloc(1, SHM_RING_BYTES);

    assert_non_null(zeros);
    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        struct shm_peer_hand peer;
        hostile_join(h, &peer);
        shm_peer_record(&peer, SHM_FRAGMENT, 40000, 50000, zeros, 40000);
        shm_peer_record(&peer, next[i].type, next[i].len, next[i].total, zeros, next[i].len);
        hostile_is_refused(h);
        assert_int_equal(h->victim.messages, 0);
        hostile_leave(h, &peer);
    }
    free(zeros);
}

/* All that the peer can write, at random, in the middle of traffic. */
static void scribbles_do_no_harm(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    uint32_t seed = 11;

    for (int round = 0; round < 3000; round++) {
        struct shm_peer_hand peer;
        hostile_join(h, &peer);
        for (int i = 0; i < 20 && !h->victim.closed; i++) {
            shm_peer_record(&peer, SHM_MESSAGE, 4, 4, "good", 4);
            shm_peer_scribble(&peer, &seed);
            const struct iovec iov = {(void *)(uintptr_t) "answer", 6};
            if (h->victim.ep)
                (void)pair_ops->send(h->victim.ep, &iov, 1, NULL);
            pair_progress(&h->pair);
            (void)pair_ops->domain_arm(h->pair.b.domain);
        }
        hostile_leave(h, &peer);
        if (round % 100 == 0)
            hostile_others_go_on(h);
    }
    hostile_others_go_on(h);
    hostile_is_as_before(h, before);
}

/* -- a hostile owner of regions -- */

/* Puts and gets of the victim into what a hostile table says. */
static void scribbled_tables_lead_nowhere(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    uint32_t seed = 23;

    for (int round = 0; round < 1500; round++) {
        struct shm_peer_hand peer;
        struct pair_op op[8];
        uint8_t bytes[5000] = {0};
        int count = 0;

        hostile_join(h, &peer);
        shm_peer_share(&peer);
        for (int i = 0; i < 4 && !h->victim.closed; i++) {
            const struct iovec iov = {bytes, sizeof bytes};
            const struct ros2_remote remote = {.token = SHM_PEER_TOKEN, .len = sizeof bytes};
            struct ros2_mapping mapping;
            void *addr;
            pair_op_init(&op[count]);
            count += pair_ops->put(h->victim.ep, &iov, 1, &remote, 1, "m", 1, &op[count].op) == 0;
            pair_op_init(&op[count]);
            count += pair_ops->get(h->victim.ep, &iov, 1, &remote, 1, &op[count].op) == 0;
            if (pair_ops->region_map(h->victim.ep, ROS2_REGION_REMOTE_WRITE, &remote, &addr,
                                     &mapping) == 0) {
                memset(addr, 1, sizeof bytes);
                pair_ops->region_unmap(h->pair.b.domain, &mapping);
            }
            shm_peer_scribble_table(&peer, &seed);
            pair_progress(&h->pair);
        }
        hostile_leave(h, &peer);
        for (int i = 0; i < count; i++)
            assert_int_equal(op[i].calls, 1);
    }
    hostile_others_go_on(h);
    hostile_is_as_before(h, before);
}

/* It says that its region is just being moved, for ever. */
static void a_region_that_never_settles_holds_up_only_its_peer(void **state)
{
    struct hostile *h = *state;
    struct shm_peer_hand peer;
    struct pair_op op;
    uint8_t bytes[10] = {0};
    const struct iovec iov = {bytes, sizeof bytes};
    const struct ros2_remote remote = {.token = SHM_PEER_TOKEN, .len = sizeof bytes};

    hostile_join(h, &peer);
    atomic_store(&peer.table->entry[0].state, 1 << SHM_ENTRY_BITS | SHM_ENTRY_MOVING);
    pair_op_init(&op);
    assert_int_equal(pair_ops->put(h->victim.ep, &iov, 1, &remote, 1, "m", 1, &op.op), 0);
    pair_settle(&h->pair);
    assert_int_equal(op.calls, 0);
    assert_int_equal(pair_ops->domain_arm(h->pair.b.domain), 0); /* nor does it keep it awake */
    hostile_others_go_on(h);
    hostile_leave(h, &peer);
    assert_int_equal(op.calls, 1);
}

/* Its pins stay up: the memory is taken back with the connection. */
static void pins_that_never_come_down_keep_no_memory(void **state)
{
    struct hostile *h = *state;
    struct shm_peer_hand peer;
    struct pair_region r;

    pair_region_open(&r, &h->pair.b, &h->pair.a, 8192, ROS2_REGION_REMOTE_WRITE);
    hostile_join(h, &peer);
    for (uint32_t slot = 0; slot < SHM_SLOTS; slot++)
        atomic_store(&peer.ring->pin[0][slot], UINT32_MAX);
    assert_int_equal(pair_ops->region_deregister(r.region), -EBUSY);
    pair_ops->ep_abort(h->victim.ep);
    h->victim.ep = NULL;
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    hostile_others_go_on(h);
    shm_peer_close(&peer);
    pair_region_close(&r);
}

static int no_memory(void *arg, void *addr, size_t len)
{
    (void)arg;
    (void)addr;
    (void)len;
    return -ENOMEM;
}

static int log_lines;

static void count_lines(void *arg, enum ros2_log_level level, const char *outlet, const char *line)
{
    (void)arg;
    (void)line;
    log_lines += level == ROS2_LOG_ERROR && strcmp(outlet, "transport/shm") == 0;
}

static void memory_that_cannot_be_taken_back_stays_busy(void **state)
{
    struct ros2_shared_memory memory = *pair_shared_memory();
    struct shm_peer_hand peer;
    struct hostile *h;

    memory.replace = no_memory;
    pair_memory = &memory;
    log_lines = 0;
    ros2i_log_sink(count_lines, NULL, ROS2_LOG_ERROR);
    hostile_setup(state);
    h = *state;
    hostile_join(h, &peer);
    atomic_store(&peer.ring->pin[0][0], 1);
    assert_int_equal(pair_ops->region_deregister(h->region.region), -EBUSY);
    pair_ops->ep_abort(h->victim.ep);
    h->victim.ep = NULL;
    assert_int_equal(log_lines, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pair_ops->region_deregister(h->region.region), -EBUSY);
    hostile_others_go_on(h);
    atomic_store(&peer.ring->pin[0][0], 0);
    assert_int_equal(pair_ops->region_deregister(h->region.region), 0);
    h->region.region = NULL;
    shm_peer_close(&peer);
    hostile_teardown(state);
    ros2i_log_sink(NULL, NULL, ROS2_LOG_ERROR);
    pair_memory = NULL;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, hostile_setup, hostile_teardown)
    struct CMUnitTest tests[] = {
        CASE(indices_that_are_none_are_refused),
        CASE(a_tail_that_goes_back_is_refused),
        CASE(records_that_break_a_rule_are_refused),
        CASE(fragments_that_do_not_fit_together_are_refused),
        CASE(scribbles_do_no_harm),
        CASE(scribbled_tables_lead_nowhere),
        CASE(a_region_that_never_settles_holds_up_only_its_peer),
        CASE(pins_that_never_come_down_keep_no_memory),
        cmocka_unit_test(memory_that_cannot_be_taken_back_stays_busy),
    };

    setenv("ROS2_TEST_TRANSPORT", "shm", 1);
    return PAIR_RUN("shm_hostile_ring", tests);
}
