/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory of a channel: what is named by the daemon's id, and that nothing of it is reached when it must not be. */
#include "config.h"

#include "lib/data/registered.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/data/quiesce.h"
#include "tests/unit/data_peer.h"

#define LEN        200000u
#define BOTH       (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)
#define ID         0x700000003ull
#define SERIAL     9
#define TIMEOUT_NS (800 * ROS2I_NS_PER_MS)

static uint8_t memory[3 * LEN];

/* As the answer to Memory.Register does it: both ends know the region. */
static void name(struct world *w)
{
    struct ros2i_registered *entry = ros2i_registered_unasked(w->channel, SERIAL);
    assert_non_null(entry);
    assert_null(ros2i_registered_unasked(w->channel, SERIAL + 1));
    int len =
        w->channel->ops->region_pack(entry->region, w->peer.region_key, sizeof(w->peer.region_key));
    assert_true(len > 0);
    w->peer.region_key_len = (size_t)len;
    w->peer.region_id = ID;
    entry->asked = entry->named = true;
    entry->id = ID;
}

static void add(struct world *w, unsigned rights)
{
    memset(memory, 0xee, sizeof(memory));
    assert_int_equal(ros2i_registered_add(w->channel, SERIAL, memory, 2 * LEN, rights), 0);
    name(w);
}

static void remove_it(struct world *w)
{
    ros2i_registered_remove(w->channel, ros2i_registered_of(w->channel, SERIAL));
    assert_null(ros2i_registered_of(w->channel, SERIAL));
}

static const struct ros2i_segment *last_segment(const struct world *w)
{
    const struct peer_request *r = &w->peer.seen[w->peer.seen_count - 1];
    assert_int_equal(r->segment_count, 1);
    return &r->segment;
}

static void assert_untouched(const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (from[i] != 0xee)
            fail_msg("byte %zu is 0x%02x", i, from[i]);
}

/* In flight, with time enough. */
static void hold_read(struct world *w, struct ros2i_op *op)
{
    w->peer.hold = true;
    world_submit(w, op, ROS2I_OP_READ, memory, LEN, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 1);
}

/* Answered at the second asking. */
static void let_it_be_read(struct world *w, const struct ros2i_op *op, uint32_t kind)
{
    w->peer.hold = false;
    world_run_until(w, 1000000, op->phase == ROS2I_OP_DONE);
    assert_int_equal(op->result, LEN);
    assert_int_equal(last_segment(w)->kind, kind);
    assert_memory_equal(memory, w->peer.file, LEN);
    assert_int_equal(w->channel->registered.used, 0);
}

static void what_lies_in_it_is_named_by_its_id(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    add(w, BOTH);
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory + 777, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_REGION);
    assert_int_equal(last_segment(w)->id, ID);
    assert_int_equal(last_segment(w)->offset, 777);
    assert_memory_equal(memory + 777, w->peer.file, LEN);
    assert_untouched(memory, 777);
    assert_untouched(memory + 777 + LEN, LEN);
    memset(memory, 0x11, LEN);
    assert_int_equal(world_do(w, &op, ROS2I_OP_WRITE, memory + 5, LEN - 5, 100), LEN - 5);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_REGION);
    assert_memory_equal(w->peer.file + 100, memory + 5, LEN - 5);
    assert_int_equal(w->channel->registered.used, 0);
}

static void what_does_not_is_named_by_a_token(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    add(w, ROS2_REGION_REMOTE_READ);
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 0), LEN); /* lacks the right */
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_TOKEN);
    assert_int_equal(world_do(w, &op, ROS2I_OP_WRITE, memory + LEN + 1, LEN, 0), LEN); /* past it */
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_TOKEN);
    assert_int_equal(world_do(w, &op, ROS2I_OP_WRITE, memory + 2 * LEN, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_TOKEN);
    assert_int_equal(world_do(w, &op, ROS2I_OP_WRITE, memory + LEN, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_REGION);
}

static void until_the_daemon_knows_it_tokens_do(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    assert_int_equal(ros2i_registered_add(w->channel, SERIAL, memory, LEN, BOTH), 0);
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_TOKEN);
    remove_it(w);
}

/* Where no other request names the region. What the daemon sends afterwards goes nowhere. */
static void a_deadline_ends_the_region_and_not_the_connection(void **state)
{
    struct world *w = *state;
    struct ros2i_op late, other;
    static uint8_t elsewhere[LEN];
    add(w, BOTH);
    w->peer.hold = true;
    world_submit(w, &late, ROS2I_OP_READ, memory, LEN, 0, 0, TIMEOUT_NS);
    world_submit(w, &other, ROS2I_OP_READ, elsewhere, LEN, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 2);
    assert_int_equal(w->peer.seen[0].segment.kind, ROS2I_SEGMENT_REGION);
    world_run_until(w, 10000000, late.phase == ROS2I_OP_DONE);
    assert_int_equal(late.result, -ETIMEDOUT);
    memset(memory, 0xee, sizeof(memory));
    peer_answer(&w->peer, 0);
    peer_answer(&w->peer, 1);
    world_run_until(w, 1000, other.phase == ROS2I_OP_DONE);
    assert_int_equal(other.result, LEN);
    assert_memory_equal(elsewhere, w->peer.file, LEN);
    assert_untouched(memory, LEN);
    assert_int_equal(w->channel->late_replies, 1);
    assert_int_equal(w->peer.connections, 1);
    w->peer.hold = false;
    assert_int_equal(world_do(w, &late, ROS2I_OP_READ, memory, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_TOKEN);
    /* The daemon is to be told: the old region is gone, there is a new one. */
    assert_int_equal(ros2i_registered_of(w->channel, SERIAL)->old_id, ID);
    name(w);
    assert_int_equal(world_do(w, &late, ROS2I_OP_READ, memory, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_REGION);
    assert_memory_equal(memory, w->peer.file, LEN);
}

/* max_io cuts it in two: both are its own. */
static void a_deadline_of_a_read_in_pieces_ends_the_region_too(void **state)
{
    struct world *w = *state;
    struct ros2i_op late;
    const size_t len = 2 * LEN;
    add(w, BOTH);
    w->peer.hold = true;
    world_submit(w, &late, ROS2I_OP_READ, memory, len, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000, w->peer.seen_count == 2);
    world_run_until(w, 10000000, late.phase == ROS2I_OP_DONE);
    assert_int_equal(late.result, -ETIMEDOUT);
    memset(memory, 0xee, sizeof(memory));
    peer_answer(&w->peer, 0);
    peer_answer(&w->peer, 1);
    world_run_until(w, 1000, w->channel->late_replies == 2);
    assert_untouched(memory, len);
    assert_int_equal(w->peer.connections, 1);
    assert_int_equal(w->channel->registered.used, 0);
    assert_true(w->channel->registered.untold);
}

/* Whose data would be thrown away with that of the one that is late. */
static void a_deadline_breaks_the_connection_where_others_name_the_region(void **state)
{
    struct world *w = *state;
    struct ros2i_op late, other;
    add(w, BOTH);
    w->peer.hold = true;
    world_submit(w, &late, ROS2I_OP_READ, memory, LEN, 0, 0, TIMEOUT_NS);
    world_submit(w, &other, ROS2I_OP_READ, memory + LEN, LEN, 0, 0, 60 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 2);
    world_run_until(w, 10000000, late.phase == ROS2I_OP_DONE);
    assert_int_equal(late.result, -ETIMEDOUT);
    assert_int_not_equal(w->channel->state, ROS2I_CHANNEL_READY);
    assert_int_equal(w->channel->registered.used, 0);
    memset(memory, 0xee, sizeof(memory));
    w->peer.hold = false;
    world_run_until(w, 1000000, other.phase == ROS2I_OP_DONE);
    assert_int_equal(other.result, LEN);
    assert_memory_equal(memory + LEN, w->peer.file, LEN);
    assert_untouched(memory, LEN);
    assert_int_equal(w->peer.connections, 2);
    /* It is still registered. */
    assert_int_equal(world_do(w, &late, ROS2I_OP_READ, memory, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_REGION);
}

/* Requests that name it are made again, by token. */
static void it_can_be_removed_in_the_middle_of_a_read(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    add(w, BOTH);
    hold_read(w, &op);
    remove_it(w);
    let_it_be_read(w, &op, ROS2I_SEGMENT_TOKEN);
}

static void a_cancel_that_is_answered_breaks_nothing(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    add(w, BOTH);
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_READ, memory, LEN, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000, w->peer.seen_count == 1);
    world_now_ns = op.deadline_ns;
    world_run_until(w, 0, peer_count(&w->peer, ROS2I_MSG_CANCEL) == 1);
    w->peer.status = ECANCELED;
    peer_answer(&w->peer, 0);
    world_run_until(w, 0, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_int_equal(w->peer.connections, 1);
    assert_int_equal(w->channel->registered.used, 0);
}

static void a_lost_connection_is_made_up_for(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    add(w, BOTH);
    hold_read(w, &op);
    peer_drop(&w->peer);
    let_it_be_read(w, &op, ROS2I_SEGMENT_REGION);
}

static void after_it_is_removed_its_key_opens_nothing(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    add(w, BOTH);
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 0), LEN);
    memset(memory, 0xee, sizeof(memory));
    peer_put_unasked(&w->peer, 0, 1000); /* the daemon may, as long as it is registered */
    world_run_until(w, 0, memcmp(memory, w->peer.file, 1000) == 0);
    memset(memory, 0xee, sizeof(memory));
    remove_it(w);
    peer_put_unasked(&w->peer, 0, 1000);
    for (int i = 0; i < 500; i++)
        world_turn(w);
    assert_untouched(memory, sizeof(memory));
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 0), LEN);
    assert_int_equal(last_segment(w)->kind, ROS2I_SEGMENT_TOKEN);
}

static void only_so_many_are_named_at_once(void **state)
{
    struct world *w = *state;
    struct ros2i_registered *taken[ROS2I_REGISTERED_AT_ONCE], *again, *entry;
    for (unsigned i = 0; i <= ROS2I_REGISTERED_AT_ONCE; i++) {
        /* Downwards, so that each goes in front of the others. */
        uint8_t *at = memory + (ROS2I_REGISTERED_AT_ONCE - i) * 500;
        assert_int_equal(ros2i_registered_add(w->channel, i + 1, at, 500, BOTH), 0);
        entry = ros2i_registered_unasked(w->channel, i + 1);
        entry->asked = entry->named = true;
        entry->id = 10000 + i;
    }
    for (unsigned i = 0; i < ROS2I_REGISTERED_AT_ONCE; i++) {
        taken[i] = ros2i_registered_take(w->channel, memory + i * 500 + 1, 499, BOTH);
        assert_non_null(taken[i]);
        assert_ptr_equal(taken[i]->addr, memory + i * 500);
    }
    const uint8_t *last = memory + ROS2I_REGISTERED_AT_ONCE * 500;
    assert_null(ros2i_registered_take(w->channel, last, 1, BOTH));
    again = ros2i_registered_take(w->channel, memory, 1, ROS2_REGION_REMOTE_READ);
    assert_ptr_equal(again, taken[0]);
    ros2i_registered_give(w->channel, &again);
    assert_null(again);
    ros2i_registered_give(w->channel, &taken[0]);
    entry = ros2i_registered_take(w->channel, last, 1, BOTH);
    assert_non_null(entry);
    ros2i_registered_give(w->channel, &entry);
    for (unsigned i = 1; i < ROS2I_REGISTERED_AT_ONCE; i++)
        ros2i_registered_give(w->channel, &taken[i]);
}

static int readable(struct world *w)
{
    struct pollfd fd = {.fd = ros2i_channel_fd(w->channel), .events = POLLIN};
    return poll(&fd, 1, 1000);
}

static void fall_asleep(struct world *w)
{
    while (ros2i_channel_arm(w->channel) < 0)
        world_turn(w);
}

/* The owner may be in the middle of looking at what has ended: nothing ends behind its back. */
static void what_ends_while_the_channel_is_lent_is_done_by_its_owner(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    add(w, BOTH);
    hold_read(w, &op);
    fall_asleep(w);
    ros2i_channel_lend(w->channel, true);
    assert_true(ros2i_quiesce_uses(w->channel, memory, LEN));
    ros2i_quiesce_take_back(w->channel, memory, LEN);
    assert_false(ros2i_quiesce_uses(w->channel, memory, LEN));
    remove_it(w);
    ros2i_channel_lend(w->channel, false);
    assert_int_equal(readable(w), 1); /* it is woken */
    assert_int_equal(w->done, 0);
    assert_int_not_equal(op.phase, ROS2I_OP_DONE);
    world_turn(w);
    assert_int_equal(w->done, 1);
    assert_int_equal(op.phase, ROS2I_OP_DONE);
    assert_int_equal(op.result, -ECANCELED);
    w->peer.hold = false;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, memory, LEN, 0), LEN);
}

static void it_is_done_once_although_it_is_cancelled_then(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    hold_read(w, &op);
    ros2i_channel_lend(w->channel, true);
    ros2i_quiesce_take_back(w->channel, memory, LEN);
    ros2i_channel_lend(w->channel, false);
    ros2i_channel_cancel(w->channel, &op, world_now_ns);
    assert_int_equal(w->done, 1);
    memset(&op, 0xee, sizeof(op)); /* its owner's again */
    world_turn(w);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->channel->active, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_lies_in_it_is_named_by_its_id),
        CASE(what_does_not_is_named_by_a_token),
        CASE(until_the_daemon_knows_it_tokens_do),
        CASE(a_deadline_ends_the_region_and_not_the_connection),
        CASE(a_deadline_of_a_read_in_pieces_ends_the_region_too),
        CASE(a_deadline_breaks_the_connection_where_others_name_the_region),
        CASE(it_can_be_removed_in_the_middle_of_a_read),
        CASE(a_cancel_that_is_answered_breaks_nothing),
        CASE(a_lost_connection_is_made_up_for),
        CASE(after_it_is_removed_its_key_opens_nothing),
        CASE(only_so_many_are_named_at_once),
        CASE(what_ends_while_the_channel_is_lent_is_done_by_its_owner),
        CASE(it_is_done_once_although_it_is_cancelled_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
