/* SPDX-License-Identifier: Apache-2.0 */
/* When an operation has ended nothing touches its buffer: also after a deadline, whatever the daemon does. */
#include "config.h"

#include "lib/data/quiesce.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "tests/unit/data_peer.h"

#define LEN        200000u
#define TIMEOUT_NS (800 * ROS2I_NS_PER_MS)
#define GRACE_NS   (TIMEOUT_NS / 8)

static void fill(uint8_t *buf, uint8_t value)
{
    memset(buf, value, LEN);
}

static void assert_filled(const uint8_t *buf, uint8_t value)
{
    for (size_t i = 0; i < LEN; i++)
        if (buf[i] != value)
            fail_msg("byte %zu is 0x%02x", i, buf[i]);
}

static void settle_down(struct world *w)
{
    for (int i = 0; i < 500; i++)
        world_turn(w);
}

/* Held at the daemon until the deadline has passed. */
static void hold(struct world *w, struct ros2i_op *op, enum ros2i_op_kind kind, uint8_t *buf,
                 size_t len)
{
    w->peer.hold = true;
    world_submit(w, op, kind, buf, len, 0, 0, TIMEOUT_NS);
    unsigned before = w->peer.seen_count;
    world_run_until(w, 1000, w->peer.seen_count > before);
}

static void at_the_deadline_the_daemon_is_told(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_READ, buf, LEN);
    world_now_ns = op.deadline_ns - 1000000;
    settle_down(w);
    assert_int_equal(peer_count(&w->peer, ROS2I_MSG_CANCEL), 0);
    world_now_ns = op.deadline_ns;
    world_run_until(w, 0, peer_count(&w->peer, ROS2I_MSG_CANCEL) == 1);
    assert_int_equal(w->peer.seen[w->peer.seen_count - 1].target_id, w->peer.seen[0].id);
    assert_int_equal(op.phase, ROS2I_OP_CANCELLING);
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
}

static void without_an_answer_it_ends_after_the_grace_period(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_READ, buf, LEN);
    world_now_ns = op.deadline_ns;
    settle_down(w);
    world_now_ns = op.deadline_ns + op.grace_ns - 1;
    settle_down(w);
    assert_int_equal(op.phase, ROS2I_OP_CANCELLING);
    world_now_ns++;
    settle_down(w);
    assert_int_equal(op.phase, ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_int_equal(w->done, 1);
}

static void what_the_daemon_sends_afterwards_does_not_land(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_READ, buf, LEN);
    world_run_until(w, 10000000, op.phase == ROS2I_OP_DONE);
    fill(buf, 0xee);
    peer_answer(&w->peer, 0);
    settle_down(w);
    assert_filled(buf, 0xee);
    w->peer.hold = false;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, LEN, 0), LEN);
    assert_memory_equal(buf, w->peer.file, LEN);
}

static void an_inline_read_does_not_land_late_either(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_READ, buf, 100);
    world_now_ns = op.deadline_ns;
    settle_down(w);
    assert_int_equal(op.phase, ROS2I_OP_DONE); /* nothing was exposed: no grace period */
    fill(buf, 0xee);
    peer_answer(&w->peer, 0);
    settle_down(w);
    assert_filled(buf, 0xee);
    assert_int_equal(w->channel->late_replies, 1);
}

static void memory_is_taken_back_from_what_uses_it_and_nothing_else(void **state)
{
    struct world *w = *state;
    static uint8_t taken[LEN], other[LEN];
    struct ros2i_op read, write, bystander, small;
    hold(w, &read, ROS2I_OP_READ, taken, LEN / 2);
    hold(w, &write, ROS2I_OP_WRITE, taken + LEN / 2, LEN / 2);
    hold(w, &bystander, ROS2I_OP_READ, other, LEN);
    hold(w, &small, ROS2I_OP_READ, taken + LEN - 1, 1); /* rides in its reply */
    assert_true(ros2i_quiesce_uses(w->channel, taken + LEN - 1, 1));
    assert_false(ros2i_quiesce_uses(w->channel, taken + LEN, 0));
    ros2i_quiesce_take_back(w->channel, taken, LEN);
    assert_false(ros2i_quiesce_uses(w->channel, taken, LEN));
    assert_int_equal(read.result, -ECANCELED);
    assert_int_equal(write.result, -ECANCELED);
    assert_int_equal(small.result, -ECANCELED);
    assert_int_equal(bystander.phase, ROS2I_OP_ACTIVE);
    fill(taken, 0xee);
    w->peer.hold = false;
    world_run_until(w, 1000000, bystander.phase == ROS2I_OP_DONE); /* over a new connection */
    assert_int_equal(bystander.result, LEN);
    assert_memory_equal(other, w->peer.file, LEN);
    settle_down(w);
    assert_filled(taken, 0xee);
    assert_int_equal(w->done, 4);
}

static void a_slot_is_not_reused_before_its_late_answer(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_READ, buf, LEN);
    uint64_t id = w->peer.seen[0].id;
    world_run_until(w, 10000000, op.phase == ROS2I_OP_DONE);
    w->peer.hold = false;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 4 * LEN / 4, 0), LEN);
    for (unsigned i = 1; i < w->peer.seen_count; i++)
        if (w->peer.seen[i].type == ROS2I_MSG_READ)
            assert_int_not_equal(ros2i_request_slot(w->peer.seen[i].id), ros2i_request_slot(id));
    peer_answer(&w->peer, 0);
    settle_down(w);
    assert_int_equal(w->channel->inflight.free_count, 4);
}

static void an_answer_within_the_grace_period_counts(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_WRITE, buf, LEN);
    world_now_ns = op.deadline_ns;
    settle_down(w);
    assert_int_equal(op.phase, ROS2I_OP_CANCELLING);
    peer_answer(&w->peer, 0);
    world_run_until(w, 0, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, LEN); /* it took effect: better said than not */
}

static void a_cancel_that_is_acknowledged_is_a_timeout(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_WRITE, buf, LEN);
    world_now_ns = op.deadline_ns;
    settle_down(w);
    w->peer.status = ECANCELED;
    peer_answer(&w->peer, 0);
    world_run_until(w, 0, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_int_equal(w->channel->inflight.free_count, 4);
}

static void a_buffer_that_the_daemon_is_reading_breaks_the_connection(void **state)
{
    struct world *w = *state;
    struct ros2i_op op, ping;
    size_t len = 256 << 10;
    uint8_t *buf = malloc(16 * len);
    assert_non_null(buf);
    memset(buf, 0x11, 16 * len);
    assert_int_equal(world_do(w, &ping, ROS2I_OP_PING, NULL, 0, 0), 0);
    /* More gets at once (15 MiB) than the sockets hold, since the peer stops reading: one is half out. */
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_WRITE, buf, 8 * len, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000, w->peer.seen_count == 5);
    for (unsigned i = 0; i < 60; i++)
        peer_answer(&w->peer, 1 + i % 4);
    w->peer.ops->flush(w->peer.ep);
    for (int i = 0; i < 2000; i++)
        ros2i_channel_progress(w->channel, world_now_ns);
    world_now_ns = op.deadline_ns;
    for (int i = 0; i < 10 && op.phase != ROS2I_OP_DONE; i++)
        ros2i_channel_progress(w->channel, world_now_ns);
    world_now_ns += op.grace_ns;
    for (int i = 0; i < 10 && op.phase != ROS2I_OP_DONE; i++)
        ros2i_channel_progress(w->channel, world_now_ns);
    assert_int_equal(op.phase, ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    memset(buf, 0x22, 16 * len); /* ours again: what the daemon gets of it must not be this */
    free(buf);
    w->peer.hold = false;
    assert_int_equal(world_do(w, &ping, ROS2I_OP_PING, NULL, 0, 0), 0);
    assert_int_equal(w->peer.connections, 2);
    assert_null(memmem(w->peer.file, 8 * len, "\x22\x22\x22\x22\x22\x22\x22\x22", 8));
}

static void one_operations_deadline_leaves_the_others_alone(void **state)
{
    struct world *w = *state;
    struct ros2i_op slow, other;
    static uint8_t buf[LEN], other_buf[LEN];
    hold(w, &slow, ROS2I_OP_READ, buf, LEN);
    world_submit(w, &other, ROS2I_OP_READ, other_buf, LEN, 1000, 0, 30 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 2);
    world_run_until(w, 10000000, slow.phase == ROS2I_OP_DONE);
    assert_int_equal(other.phase, ROS2I_OP_ACTIVE);
    peer_answer(&w->peer, 1);
    world_run_until(w, 1000, other.phase == ROS2I_OP_DONE);
    assert_int_equal(other.result, LEN);
    assert_memory_equal(other_buf, w->peer.file + 1000, LEN);
}

static void pieces_not_yet_issued_are_never_sent(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    uint8_t *buf = malloc(3 << 20);
    assert_non_null(buf);
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_READ, buf, 3 << 20, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000, w->peer.seen_count == 4);
    world_run_until(w, 10000000, op.phase == ROS2I_OP_DONE);
    settle_down(w);
    assert_int_equal(peer_count(&w->peer, ROS2I_MSG_READ), 4);
    assert_int_equal(peer_count(&w->peer, ROS2I_MSG_CANCEL), 4);
    free(buf);
}

static void a_lost_connection_during_the_grace_period_ends_it(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    static uint8_t buf[LEN];
    hold(w, &op, ROS2I_OP_WRITE, buf, LEN);
    world_now_ns = op.deadline_ns;
    settle_down(w);
    peer_drop(&w->peer);
    world_run_until(w, 0, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_int_equal(w->channel->inflight.free_count, 4);
}

static void all_credits_stuck_still_ends_later_operations_in_time(void **state)
{
    struct world *w = *state;
    struct ros2i_op op[6];
    static uint8_t buf[LEN];
    w->peer.hold = true;
    for (int i = 0; i < 6; i++)
        world_submit(w, &op[i], ROS2I_OP_READ, buf, 100, 0, 0, TIMEOUT_NS);
    world_run_until(w, 1000000, w->done == 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(op[i].result, -ETIMEDOUT);
    for (unsigned i = 0; i < 4; i++)
        peer_answer(&w->peer, i);
    w->peer.hold = false;
    struct ros2i_op ping;
    assert_int_equal(world_do(w, &ping, ROS2I_OP_PING, NULL, 0, 0), 0);
    assert_int_equal(w->peer.connections, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(at_the_deadline_the_daemon_is_told),
        CASE(without_an_answer_it_ends_after_the_grace_period),
        CASE(what_the_daemon_sends_afterwards_does_not_land),
        CASE(an_inline_read_does_not_land_late_either),
        CASE(memory_is_taken_back_from_what_uses_it_and_nothing_else),
        CASE(a_slot_is_not_reused_before_its_late_answer),
        CASE(an_answer_within_the_grace_period_counts),
        CASE(a_cancel_that_is_acknowledged_is_a_timeout),
        CASE(a_buffer_that_the_daemon_is_reading_breaks_the_connection),
        CASE(one_operations_deadline_leaves_the_others_alone),
        CASE(pieces_not_yet_issued_are_never_sent),
        CASE(a_lost_connection_during_the_grace_period_ends_it),
        CASE(all_credits_stuck_still_ends_later_operations_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
