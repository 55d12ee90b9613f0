/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "daemon/data/queue_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#define MAX 4

static int setup(void **state)
{
    static struct ros2d_queues queues;

    memset(&queues, 0, sizeof(queues));
    assert_int_equal(ros2d_queues_init(&queues, MAX, 2), 0);
    *state = &queues;
    return 0;
}

static int teardown(void **state)
{
    ros2d_queues_fini(*state);
    return 0;
}

static struct ros2d_queue_state *get(struct ros2d_queues *queues, uint64_t serial, uint8_t nonce,
                                     uint32_t queue)
{
    struct ros2d_queue_key key = {
        .session_serial = serial, .process_nonce = {nonce}, .queue = queue};
    struct ros2d_queue_state *state;

    assert_int_equal(ros2d_queues_get(queues, &key, &state), 0);
    return state;
}

static struct ros2d_queue_state *get_idle(struct ros2d_queues *queues, uint64_t serial,
                                          uint32_t queue)
{
    struct ros2d_queue_state *state = get(queues, serial, 0, queue);

    ros2d_queues_settle(queues, state);
    return state;
}

static void each_part_of_the_key_counts(void **state)
{
    struct ros2d_queue_state *a = get(*state, 1, 1, 1);

    assert_ptr_equal(get(*state, 1, 1, 1), a);
    assert_ptr_not_equal(get(*state, 2, 1, 1), a);
    assert_ptr_not_equal(get(*state, 1, 2, 1), a);
    assert_ptr_not_equal(get(*state, 1, 1, 2), a);
}

static void the_longest_idle_is_forgotten_and_none_in_use(void **state)
{
    struct ros2d_queues *queues = *state;
    struct ros2d_queue_state *used = get(queues, 1, 0, 0);
    uint32_t i;

    used->in_engine = 1;
    ros2d_queues_settle(queues, used);
    for (i = 1; i < MAX; i++)
        get_idle(queues, 1, i)->epoch = 7;
    get_idle(queues, 1, 1); /* used again: now 2 is the longest idle */
    get_idle(queues, 1, MAX);
    assert_int_equal(queues->count, MAX);
    assert_int_equal(get(queues, 1, 0, 1)->epoch, 7);
    assert_int_equal(get(queues, 1, 0, 3)->epoch, 7);
    assert_ptr_equal(get(queues, 1, 0, 0), used);
    used->in_engine = 0;
    ros2d_queues_settle(queues, used);
}

static void a_table_of_used_ones_is_full(void **fixture)
{
    struct ros2d_queues *queues = *fixture;
    struct ros2d_queue_key one_more = {.session_serial = 1, .queue = MAX};
    struct ros2d_queue_state *used[MAX], *state;

    for (uint32_t i = 0; i < MAX; i++) {
        used[i] = get(queues, 1, 0, i);
        used[i]->in_engine = 1;
        ros2d_queues_settle(queues, used[i]);
    }
    assert_int_equal(ros2d_queues_get(queues, &one_more, &state), -EDQUOT);
    for (uint32_t i = 0; i < MAX; i++) {
        used[i]->in_engine = 0;
        ros2d_queues_settle(queues, used[i]);
    }
}

static void another_session_s_idle_state_is_kept(void **fixture)
{
    struct ros2d_queues *queues = *fixture;
    struct ros2d_queue_key one_more = {.session_serial = 3, .queue = 0};
    struct ros2d_queue_state *state;

    for (uint32_t i = 0; i < MAX - 1; i++)
        get_idle(queues, 1, i)->epoch = 7;
    get_idle(queues, 2, 0)->epoch = 8;
    get_idle(queues, 2, 1)->epoch = 9; /* in the place of the other of session 2 */
    for (uint32_t i = 0; i < MAX - 1; i++)
        assert_int_equal(get(queues, 1, 0, i)->epoch, 7);
    assert_int_equal(get(queues, 2, 0, 1)->epoch, 9);
    assert_int_equal(ros2d_queues_get(queues, &one_more, &state), -EDQUOT);
    assert_int_equal(queues->count, MAX);
}

static void a_session_s_end_takes_its_states_and_busy_ones_later(void **state)
{
    struct ros2d_queues *queues = *state;
    struct ros2d_queue_state *busy = get_idle(queues, 1, 0);

    get_idle(queues, 1, 1);
    get_idle(queues, 2, 0);
    busy->in_engine = 2;
    ros2d_queues_settle(queues, busy);
    ros2d_queues_drop_session(queues, 1);
    assert_int_equal(queues->count, 2);
    busy->in_engine = 0;
    ros2d_queues_settle(queues, busy);
    assert_int_equal(queues->count, 1);
}

static void slots_follow_the_rules(void **state)
{
    struct ros2d_slot_memory slot = {0};

    (void)state;
    assert_int_equal(ros2d_slot_admit(&slot, 3, false), ROS2D_ADMIT_BREACH); /* sequence 0 */
    assert_int_equal(ros2d_slot_admit(&slot, 5 << 16, false), ROS2D_ADMIT_EXECUTE);
    assert_int_equal(ros2d_slot_admit(&slot, 5 << 16, false), ROS2D_ADMIT_BREACH);
    assert_int_equal(ros2d_slot_admit(&slot, 5 << 16, true), ROS2D_ADMIT_UNKNOWN);
    slot.kept = true;
    assert_int_equal(ros2d_slot_admit(&slot, 5 << 16, true), ROS2D_ADMIT_KEPT);
    assert_int_equal(ros2d_slot_admit(&slot, 5 << 16, false), ROS2D_ADMIT_BREACH);
    assert_int_equal(ros2d_slot_admit(&slot, 4 << 16, true), ROS2D_ADMIT_BREACH);
    assert_int_equal(ros2d_slot_admit(&slot, 9 << 16, true), ROS2D_ADMIT_EXECUTE);
    assert_false(slot.kept);
    assert_int_equal(slot.last_id, 9 << 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_part_of_the_key_counts),
        TEST(the_longest_idle_is_forgotten_and_none_in_use),
        TEST(a_table_of_used_ones_is_full),
        TEST(another_session_s_idle_state_is_kept),
        TEST(a_session_s_end_takes_its_states_and_busy_ones_later),
        TEST(slots_follow_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
