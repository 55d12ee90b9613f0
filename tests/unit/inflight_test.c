/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, operations made of pieces, and the write verifier: state without I/O. */
#include "config.h"

#include "lib/data/inflight.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/error.h"
#include "lib/core/unsynced.h"
#include "lib/protocol/wire.h"

static void a_slot_is_taken_once_and_its_sequence_only_grows(void **state)
{
    (void)state;
    struct ros2i_inflight table;
    assert_int_equal(ros2i_inflight_init(&table, 4, 100), 0);
    assert_null(ros2i_inflight_take(&table)); /* the daemon has not said how many */
    ros2i_inflight_open(&table, 2);
    struct ros2i_slot *a = ros2i_inflight_take(&table), *b = ros2i_inflight_take(&table);
    assert_null(ros2i_inflight_take(&table));
    assert_int_not_equal(ros2i_request_slot(a->id), ros2i_request_slot(b->id));
    assert_true(a->id >> 16 == 101 && b->id >> 16 == 102);
    ros2i_inflight_move(&table, a, ROS2I_SLOT_FREE);
    struct ros2i_slot *c = ros2i_inflight_take(&table);
    assert_ptr_equal(a, c);
    assert_int_equal(c->id >> 16, 103);
    ros2i_inflight_renumber(&table, c);
    assert_int_equal(c->id >> 16, 104);
    ros2i_inflight_fini(&table);
}

static void only_the_request_that_is_out_is_found(void **state)
{
    (void)state;
    struct ros2i_inflight table;
    assert_int_equal(ros2i_inflight_init(&table, 4, 0), 0);
    ros2i_inflight_open(&table, 4);
    struct ros2i_slot *slot = ros2i_inflight_take(&table);
    uint64_t old = slot->id;
    assert_null(ros2i_inflight_find(&table, old)); /* not sent */
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_SENT);
    assert_ptr_equal(ros2i_inflight_find(&table, old), slot);
    assert_null(ros2i_inflight_find(&table, old + (1 << 16)));
    assert_null(ros2i_inflight_find(&table, old | 3));
    assert_null(ros2i_inflight_find(&table, old | 0xffff));
    assert_null(ros2i_inflight_find(&table, 0));
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_FREE);
    assert_null(ros2i_inflight_find(&table, old));
    slot = ros2i_inflight_take(&table);
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_SENT);
    assert_null(ros2i_inflight_find(&table, old)); /* the slot's next request */
    ros2i_inflight_fini(&table);
}

static void counters_follow_every_move(void **state)
{
    (void)state;
    struct ros2i_inflight table;
    assert_int_equal(ros2i_inflight_init(&table, 2, 0), 0);
    ros2i_inflight_open(&table, 2);
    struct ros2i_slot *slot = ros2i_inflight_take(&table);
    assert_true(table.queued == 1 && table.waiting == 0);
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_SENT);
    assert_true(table.queued == 0 && table.waiting == 1);
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_QUEUED);
    assert_true(table.queued == 1 && table.waiting == 0);
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_SENT);
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_CANCELLING);
    assert_true(table.queued == 0 && table.waiting == 1);
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_ABANDONED);
    assert_true(table.queued == 0 && table.waiting == 0 && table.free_count == 1);
    ros2i_inflight_move(&table, slot, ROS2I_SLOT_FREE);
    assert_int_equal(table.free_count, 2);
    ros2i_inflight_fini(&table);
}

/* -- operations -- */

static void start(struct ros2i_op *op, enum ros2i_op_kind kind, size_t len, uint32_t pieces)
{
    ros2i_op_init(op, kind, 1);
    op->len = op->limit = op->issued = len;
    op->pieces = pieces;
}

static void a_read_ends_at_its_lowest_short_piece(void **state)
{
    (void)state;
    struct ros2i_op op;
    start(&op, ROS2I_OP_READ, 400, 4);
    ros2i_op_piece_done(&op, 300, 100, 0);
    ros2i_op_piece_done(&op, 100, 100, 30);
    ros2i_op_piece_done(&op, 200, 100,
                        100); /* the file grew meanwhile: no gap in what is reported */
    ros2i_op_piece_done(&op, 0, 100, 100);
    ros2i_op_conclude(&op);
    assert_int_equal(op.result, 130);
}

static void the_lowest_failed_piece_gives_the_error(void **state)
{
    (void)state;
    struct ros2i_op op;
    start(&op, ROS2I_OP_READ, 300, 3);
    ros2i_op_piece_failed(&op, 200, ros2i_fail(EIO, "second"));
    ros2i_op_piece_failed(&op, 100, ros2i_fail(EACCES, "first"));
    ros2i_op_piece_done(&op, 0, 100, 100);
    ros2i_op_conclude(&op);
    assert_int_equal(op.result, -EACCES);
    assert_string_equal(op.text, "first");
}

static void an_error_behind_the_end_of_file_does_not_matter(void **state)
{
    (void)state;
    struct ros2i_op op;
    start(&op, ROS2I_OP_READ, 200, 2);
    ros2i_op_piece_failed(&op, 100, ros2i_fail(EIO, "late"));
    ros2i_op_piece_done(&op, 0, 100, 60);
    ros2i_op_conclude(&op);
    assert_int_equal(op.result, 60);
}

static void a_write_that_fails_in_part_says_how_much_is_written(void **state)
{
    (void)state;
    struct ros2i_op op;
    start(&op, ROS2I_OP_WRITE, 200, 2);
    ros2i_op_piece_done(&op, 0, 100, 100);
    ros2i_op_piece_failed(&op, 100, ros2i_fail(ENOSPC, "full"));
    ros2i_op_conclude(&op);
    assert_int_equal(op.result, -ENOSPC);
    assert_string_equal(op.text, "full (100 of 200 bytes are written)");
}

/* -- the write verifier -- */

static void fsync_under_the_writes_epoch_is_good(void **state)
{
    (void)state;
    struct ros2i_unsynced u;
    ros2i_unsynced_init(&u);
    ros2i_unsynced_wrote(&u, 7, false);
    struct ros2i_unsynced_mark mark = ros2i_unsynced_mark(&u);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 7), 0);
    mark = ros2i_unsynced_mark(&u);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 8), 0); /* nothing was unsynced */
    ros2i_unsynced_fini(&u);
}

static void a_changed_epoch_fails_fsync_once(void **state)
{
    (void)state;
    struct ros2i_unsynced u;
    ros2i_unsynced_init(&u);
    ros2i_unsynced_wrote(&u, 7, false);
    struct ros2i_unsynced_mark mark = ros2i_unsynced_mark(&u);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 8), -EIO);
    mark = ros2i_unsynced_mark(&u);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 8), 0);
    ros2i_unsynced_wrote(&u, 8, false);
    mark = ros2i_unsynced_mark(&u);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 8), 0);
    ros2i_unsynced_fini(&u);
}

static void writes_of_two_epochs_fail_fsync_even_if_the_latest_matches(void **state)
{
    (void)state;
    struct ros2i_unsynced u;
    ros2i_unsynced_init(&u);
    ros2i_unsynced_wrote(&u, 7, false);
    ros2i_unsynced_wrote(&u, 8, false);
    struct ros2i_unsynced_mark mark = ros2i_unsynced_mark(&u);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 8), -EIO);
    ros2i_unsynced_wrote(&u, 8, true); /* one write whose pieces saw two epochs */
    mark = ros2i_unsynced_mark(&u);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 8), -EIO);
    ros2i_unsynced_fini(&u);
}

static void a_write_during_fsync_is_left_to_the_next(void **state)
{
    (void)state;
    struct ros2i_unsynced u;
    ros2i_unsynced_init(&u);
    ros2i_unsynced_wrote(&u, 7, false);
    struct ros2i_unsynced_mark mark = ros2i_unsynced_mark(&u);
    ros2i_unsynced_wrote(&u, 7, false);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 7), 0);
    mark = ros2i_unsynced_mark(&u);
    assert_true(mark.dirty);
    assert_int_equal(ros2i_unsynced_synced(&u, &mark, 8), -EIO);
    ros2i_unsynced_fini(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_is_taken_once_and_its_sequence_only_grows),
        cmocka_unit_test(only_the_request_that_is_out_is_found),
        cmocka_unit_test(counters_follow_every_move),
        cmocka_unit_test(a_read_ends_at_its_lowest_short_piece),
        cmocka_unit_test(the_lowest_failed_piece_gives_the_error),
        cmocka_unit_test(an_error_behind_the_end_of_file_does_not_matter),
        cmocka_unit_test(a_write_that_fails_in_part_says_how_much_is_written),
        cmocka_unit_test(fsync_under_the_writes_epoch_is_good),
        cmocka_unit_test(a_changed_epoch_fails_fsync_once),
        cmocka_unit_test(writes_of_two_epochs_fail_fsync_even_if_the_latest_matches),
        cmocka_unit_test(a_write_during_fsync_is_left_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
