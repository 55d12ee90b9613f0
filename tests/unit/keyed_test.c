/* SPDX-License-Identifier: Apache-2.0 */
/* A channel over a transport with keys and without tokens: what is not registered goes through bounce memory that the daemon
 * knows, and whatever happens then, the caller's own memory is never in reach. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "tests/unit/data_peer.h"

#define LEN        200000u
#define POOL_ID    0x500000002ull
#define TIMEOUT_NS (800 * ROS2I_NS_PER_MS)

static uint8_t memory[LEN];

/* As the answer to Memory.Register does it. */
static void tell(struct world *w, struct ros2i_registered *entry, uint64_t id)
{
    int len =
        w->channel->ops->region_pack(entry->region, w->peer.region_key, sizeof(w->peer.region_key));
    assert_true(len > 0);
    w->peer.region_key_len = (size_t)len;
    w->peer.region_id = id;
    entry->asked = entry->named = true;
    entry->id = id;
}

/* A stand-in: tcp, whose regions can be had by key too. */
static struct ros2_transport_ops copy;

static const struct ros2_transport_ops *keyed(const struct ros2_transport_ops *ops)
{
    copy = *ops;
    copy.flags &= ~(uint32_t)ROS2_TRANSPORT_TOKENS;
    copy.region_token = NULL;
    return &copy;
}

static int setup(void **state)
{
    int rc = world_setup(state);
    struct world *w = *state;
    if (rc < 0)
        return rc;
    ros2i_channel_destroy(w->channel);
    if (world_create_channel(w, keyed(w->peer.ops)) < 0 || !w->channel->pool)
        return -1;
    tell(w, w->channel->pool, POOL_ID);
    memset(memory, 0xee, sizeof(memory));
    return 0;
}

static const struct ros2i_segment *segment(const struct world *w, unsigned request)
{
    assert_true(request < w->peer.seen_count);
    assert_int_equal(w->peer.seen[request].segment_count, 1);
    return &w->peer.seen[request].segment;
}

static void assert_untouched(void)
{
    for (size_t i = 0; i < LEN; i++)
        if (memory[i] != 0xee)
            fail_msg("byte %zu is 0x%02x", i, memory[i]);
}

static uint64_t leased(const struct world *w)
{
    return w->channel->inflight.bounce.leased;
}

static void data_goes_through_memory_that_the_daemon_knows(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 7), LEN);
    assert_int_equal(segment(w, 0)->kind, ROS2I_SEGMENT_REGION);
    assert_int_equal(segment(w, 0)->id, POOL_ID);
    assert_memory_equal(memory, w->peer.file + 7, LEN);
    memset(memory, 0x11, LEN);
    assert_int_equal(world_do(w, &op, ROS2I_OP_WRITE, memory, LEN, 100), LEN);
    assert_int_equal(segment(w, 1)->id, POOL_ID);
    assert_memory_equal(w->peer.file + 100, memory, LEN);
    assert_int_equal(leased(w), 0);
}

static void what_is_registered_is_reached_directly(void **state)
{
    struct world *w = *state;
    const unsigned both = ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE;
    struct ros2i_op op;
    assert_int_equal(ros2i_registered_add(w->channel, 3, memory, LEN, both), 0);
    tell(w, ros2i_registered_of(w->channel, 3), 0x900000001ull);
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_READ, memory + 5, LEN - 5, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 1);
    assert_int_equal(segment(w, 0)->id, 0x900000001ull);
    assert_int_equal(segment(w, 0)->offset, 5);
    assert_int_equal(leased(w), 0);
    peer_answer(&w->peer, 0);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, LEN - 5);
    assert_memory_equal(memory + 5, w->peer.file, LEN - 5);
}

static void memory_that_cannot_be_taken_back_at_once_is_never_named(void **state)
{
    struct world *w = *state;
    const unsigned both = ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE;
    struct ros2i_op op;
    copy.flags &= ~(uint32_t)ROS2_TRANSPORT_REVOKES;
    assert_int_equal(ros2i_registered_add(w->channel, 3, memory, LEN, both), 0);
    assert_null(ros2i_registered_of(w->channel, 3));
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 7), LEN);
    assert_int_equal(segment(w, 0)->id, POOL_ID);
    assert_memory_equal(memory, w->peer.file + 7, LEN);
}

static void until_the_daemon_knows_it_operations_wait(void **state)
{
    struct world *w = *state;
    struct ros2i_op op, other;
    static uint8_t few[1000];
    w->channel->pool->named = false;
    w->channel->pool->refused = true;
    world_submit(w, &op, ROS2I_OP_READ, memory, LEN, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->channel->registered.untold); /* it is asked for */
    assert_int_equal(w->peer.seen_count, 0);
    /* What needs none of it goes on. */
    assert_int_equal(world_do(w, &other, ROS2I_OP_FSYNC, NULL, 0, 0), 0);
    assert_int_equal(world_do(w, &other, ROS2I_OP_READ, few, sizeof(few), 0), sizeof(few));
    assert_int_equal(w->peer.seen_count, 2);
    while (ros2i_channel_arm(w->channel) < 0)
        world_turn(w);
    w->channel->pool->named = true;
    ros2i_channel_wake(w->channel);
    struct pollfd owner = {.fd = ros2i_channel_fd(w->channel), .events = POLLIN};
    assert_int_equal(poll(&owner, 1, 10000), 1);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, LEN);
    assert_memory_equal(memory, w->peer.file, LEN);
}

static void in_vain_until_their_deadline_with_the_cause(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    w->channel->pool->named = false;
    w->channel->pool->refused = true;
    world_submit(w, &op, ROS2I_OP_READ, memory, LEN, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000, w->channel->registered.untold);
    w->channel->registered.untold = false;
    world_now_ns += TIMEOUT_NS / 2;
    world_turn(w);
    assert_false(w->channel->registered.untold); /* somebody is asking */
    w->channel->pool->refused = true;
    assert_true(ros2i_channel_next_ns(w->channel) <= world_now_ns);
    world_turn(w);
    assert_true(w->channel->registered.untold); /* asked for once more, */
    w->channel->registered.untold = false;
    w->channel->pool->refused = true;
    world_turn(w);
    assert_false(w->channel->registered.untold); /* but not at once */
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_non_null(strstr(op.text, "control plane"));
    assert_int_equal(leased(w), 0);
    w->channel->pool->refused = false;
    w->channel->pool->named = true;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 0), LEN);
}

/* No grace period, no broken connection; the place where late data lands is not used again before that. */
static void what_comes_late_lands_where_nobody_looks(void **state)
{
    struct world *w = *state;
    struct ros2i_op late, next;
    static uint8_t elsewhere[LEN];
    w->peer.hold = true;
    world_submit(w, &late, ROS2I_OP_READ, memory, LEN, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000, w->peer.seen_count == 1);
    world_now_ns = late.deadline_ns;
    world_turn(w);
    assert_int_equal(late.phase, ROS2I_OP_DONE);
    assert_int_equal(late.result, -ETIMEDOUT);
    const uint64_t held = leased(w);
    assert_true(held != 0);
    world_run_until(w, 0, peer_count(&w->peer, ROS2I_MSG_CANCEL) == 1);
    world_submit(w, &next, ROS2I_OP_READ, elsewhere, LEN, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 0, peer_count(&w->peer, ROS2I_MSG_READ) == 2);
    assert_int_equal(leased(w) & held, held);
    unsigned second = w->peer.seen_count - 1;
    assert_true(segment(w, second)->offset >= segment(w, 0)->offset + LEN);
    peer_answer(&w->peer, 0);
    world_run_until(w, 0, w->channel->late_replies == 1);
    assert_int_equal(leased(w) & held, 0);
    peer_answer(&w->peer, second);
    world_run_until(w, 0, next.phase == ROS2I_OP_DONE);
    assert_int_equal(next.result, LEN);
    assert_memory_equal(elsewhere, w->peer.file, LEN);
    assert_untouched();
    assert_int_equal(leased(w), 0);
    assert_int_equal(w->peer.connections, 1);
}

/* What the daemon fetches is what the caller had when it called. */
static void a_write_that_is_late_takes_nothing_from_the_caller(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    memset(memory, 0x22, LEN);
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_WRITE, memory, LEN, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000, w->peer.seen_count == 1);
    world_run_until(w, 10000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    memset(memory, 0xee, LEN);
    peer_answer(&w->peer, 0);
    world_run_until(w, 0, w->channel->late_replies == 1);
    for (size_t i = 0; i < LEN; i++)
        assert_int_equal(w->peer.file[i], 0x22);
    assert_int_equal(leased(w), 0);
    assert_int_equal(w->peer.connections, 1);
}

/* A daemon that answers nothing is noticed, although only abandoned requests are out, which hold all credits. */
static void what_nobody_gives_back_is_not_waited_for(void **state)
{
    struct world *w = *state;
    struct ros2i_op late, next;
    uint8_t *large = calloc(1, ROS2I_BOUNCE_MAX);
    assert_non_null(large);
    w->peer.hold = w->peer.mute_pong = true;
    world_submit(w, &late, ROS2I_OP_READ, large, ROS2I_BOUNCE_MAX, 0, 0, TIMEOUT_NS);
    world_run_until(w, 10000000, late.phase == ROS2I_OP_DONE);
    assert_true(leased(w) != 0);
    assert_int_equal(w->channel->inflight.waiting + w->channel->inflight.free_count, 0);
    world_submit(w, &next, ROS2I_OP_READ, memory, LEN, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 10000000, w->channel->state != ROS2I_CHANNEL_READY);
    w->peer.hold = w->peer.mute_pong = false;
    world_run_until(w, 1000000, next.phase == ROS2I_OP_DONE);
    assert_int_equal(next.result, LEN);
    assert_memory_equal(memory, w->peer.file, LEN);
    assert_int_equal(w->peer.connections, 2);
    free(large);
}

static void a_lost_connection_is_made_up_for(void **state)
{
    struct world *w = *state;
    struct ros2i_op late, op;
    w->peer.hold = true;
    world_submit(w, &late, ROS2I_OP_READ, memory, LEN, 0, 0, TIMEOUT_NS);
    world_submit(w, &op, ROS2I_OP_READ, memory, LEN, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 2);
    world_run_until(w, 10000000, late.phase == ROS2I_OP_DONE);
    peer_drop(&w->peer);
    w->peer.hold = false;
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, LEN);
    assert_memory_equal(memory, w->peer.file, LEN);
    assert_int_equal(w->peer.connections, 2);
    assert_int_equal(leased(w), 0); /* nobody can write there any more */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        CASE(data_goes_through_memory_that_the_daemon_knows),
        CASE(what_is_registered_is_reached_directly),
        CASE(memory_that_cannot_be_taken_back_at_once_is_never_named),
        CASE(until_the_daemon_knows_it_operations_wait),
        CASE(in_vain_until_their_deadline_with_the_cause),
        CASE(what_comes_late_lands_where_nobody_looks),
        CASE(a_write_that_is_late_takes_nothing_from_the_caller),
        CASE(what_nobody_gives_back_is_not_waited_for),
        CASE(a_lost_connection_is_made_up_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
