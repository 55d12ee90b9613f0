/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "daemon/data/bounce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNITS 70 /* more than a word, not a multiple of one */

static int granted_order[8], granted_count;

struct asker {
    struct ros2d_waiter waiter;
    int name;
};

static void on_granted(struct ros2d_waiter *waiter)
{
    granted_order[granted_count++] = ROS2D_CONTAINER(waiter, struct asker, waiter)->name;
}

static struct asker asker(int name)
{
    return (struct asker){.waiter = {.granted = on_granted}, .name = name};
}

static int setup(void **state)
{
    static struct ros2d_bounce pool;

    memset(&pool, 0, sizeof(pool));
    assert_int_equal(ros2d_bounce_init(&pool, 4096, UNITS, 8), 0);
    granted_count = 0;
    *state = &pool;
    return 0;
}

static int teardown(void **state)
{
    struct ros2d_bounce *pool = *state;

    assert_int_equal(pool->free, UNITS);
    ros2d_bounce_fini(pool);
    return 0;
}

static void leases_do_not_overlap_and_are_all_that_there_is(void **state)
{
    struct ros2d_bounce *pool = *state;
    struct ros2d_lease lease[UNITS], more;
    uint32_t held[5] = {0};
    uint8_t seen[UNITS] = {0};

    for (int i = 0; i < UNITS; i++) {
        assert_true(ros2d_bounce_get(pool, 1, &held[i % 5], &lease[i]));
        assert_true(lease[i].first < UNITS);
        assert_false(seen[lease[i].first]++);
        memset(ros2d_bounce_addr(pool, lease[i]), i, 4096);
    }
    assert_false(ros2d_bounce_get(pool, 1, &held[0], &more));
    for (int i = 0; i < UNITS; i++) {
        assert_int_equal(*(uint8_t *)ros2d_bounce_addr(pool, lease[i]), i);
        ros2d_bounce_put(pool, lease[i], &held[i % 5]);
    }
    for (int i = 0; i < 5; i++)
        assert_int_equal(held[i], 0);
}

static void a_long_lease_is_one_piece(void **state)
{
    struct ros2d_bounce *pool = *state;
    struct ros2d_lease single[UNITS], run;
    uint32_t held[UNITS] = {0}, mine = 0;

    for (int i = 0; i < UNITS; i++)
        assert_true(ros2d_bounce_get(pool, 1, &held[i], &single[i]));
    /* Every other one free: enough, but nowhere side by side. */
    for (int i = 0; i < UNITS; i += 2)
        ros2d_bounce_put(pool, single[i], &held[i]);
    assert_false(ros2d_bounce_get(pool, 2, &mine, &run));
    ros2d_bounce_put(pool, single[63], &held[63]); /* between two words: 62, 63, 64 are free */
    assert_true(ros2d_bounce_get(pool, 3, &mine, &run));
    assert_int_equal(run.first, 62);
    ros2d_bounce_put(pool, run, &mine);
    for (int i = 1; i < UNITS; i += 2)
        if (i != 63)
            ros2d_bounce_put(pool, single[i], &held[i]);
}

static void one_holder_cannot_take_all(void **state)
{
    struct ros2d_bounce *pool = *state;
    struct ros2d_lease lease[UNITS], other;
    uint32_t greedy = 0, modest = 0;
    unsigned count = 0;

    while (ros2d_bounce_get(pool, 1, &greedy, &lease[count]))
        count++;
    assert_int_equal(count, UNITS / 4);
    assert_true(ros2d_bounce_get(pool, 1, &modest, &other));
    ros2d_bounce_put(pool, other, &modest);
    while (count > 0)
        ros2d_bounce_put(pool, lease[--count], &greedy);
}

/* Fills the pool by holders of their own. */
static void take_all(struct ros2d_bounce *pool, struct ros2d_lease lease[UNITS],
                     uint32_t held[UNITS])
{
    for (int i = 0; i < UNITS; i++)
        assert_true(ros2d_bounce_get(pool, 1, &held[i], &lease[i]));
}

static void waiters_are_served_in_order_long_ones_too(void **state)
{
    struct ros2d_bounce *pool = *state;
    struct ros2d_lease lease[UNITS], late;
    uint32_t held[UNITS] = {0}, a_held = 0, b_held = 0, c_held = 0;
    struct asker a = asker(1), b = asker(2), c = asker(3);

    take_all(pool, lease, held);
    ros2d_bounce_wait(pool, &a.waiter, 1, &a_held);
    ros2d_bounce_wait(pool, &b.waiter, 4, &b_held);
    ros2d_bounce_wait(pool, &c.waiter, 1, &c_held);
    ros2d_bounce_put(pool, lease[0], &held[0]);
    assert_int_equal(granted_count, 1);
    ros2d_bounce_put(pool, lease[1], &held[1]);
    assert_int_equal(granted_count, 1); /* it is b's turn, who needs more */
    assert_false(ros2d_bounce_get(pool, 1, &c_held, &late));
    for (int i = 2; i < 6; i++)
        ros2d_bounce_put(pool, lease[i], &held[i]);
    assert_int_equal(granted_count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(granted_order[i], i + 1);
    assert_int_equal(b.waiter.lease.units, 4);
    assert_int_equal(b_held, 4);
    for (int i = 6; i < UNITS; i++)
        ros2d_bounce_put(pool, lease[i], &held[i]);
    ros2d_bounce_put(pool, a.waiter.lease, &a_held);
    ros2d_bounce_put(pool, b.waiter.lease, &b_held);
    ros2d_bounce_put(pool, c.waiter.lease, NULL);
}

static void a_holder_at_its_cap_lets_others_pass(void **state)
{
    struct ros2d_bounce *pool = *state;
    struct ros2d_lease lease[UNITS / 4];
    uint32_t greedy = 0, modest = 0;
    struct asker more = asker(1), other = asker(2);

    for (int i = 0; i < UNITS / 4; i++)
        assert_true(ros2d_bounce_get(pool, 1, &greedy, &lease[i]));
    ros2d_bounce_wait(pool, &more.waiter, 1, &greedy);
    assert_int_equal(granted_count, 0);
    ros2d_bounce_wait(pool, &other.waiter, 1, &modest);
    assert_int_equal(granted_count, 1);
    assert_int_equal(granted_order[0], 2);
    ros2d_bounce_put(pool, lease[0], &greedy);
    assert_int_equal(granted_order[1], 1);
    ros2d_bounce_put(pool, more.waiter.lease, &greedy);
    ros2d_bounce_put(pool, other.waiter.lease, &modest);
    for (int i = 1; i < UNITS / 4; i++)
        ros2d_bounce_put(pool, lease[i], &greedy);
}

static void who_gives_up_waiting_gets_nothing(void **state)
{
    struct ros2d_bounce *pool = *state;
    struct ros2d_lease lease[UNITS];
    uint32_t held[UNITS] = {0}, a_held = 0;
    struct asker a = asker(1);

    take_all(pool, lease, held);
    ros2d_bounce_wait(pool, &a.waiter, 1, &a_held);
    ros2d_bounce_unwait(&a.waiter);
    ros2d_bounce_unwait(&a.waiter);
    for (int i = 0; i < UNITS; i++)
        ros2d_bounce_put(pool, lease[i], &held[i]);
    assert_int_equal(granted_count, 0);
    assert_int_equal(a_held, 0);
}

/* Who only waits for what it has itself, or is at its cap, is helped by nobody's end. */
static void a_pool_is_wanted_by_others_that_could_have_more(void **state)
{
    struct ros2d_bounce *pool = *state;
    struct ros2d_lease lease[UNITS];
    uint32_t held[UNITS] = {0}, capped = pool->cap, modest = 0;
    struct asker own = asker(1), at_cap = asker(2), other = asker(3);

    take_all(pool, lease, held);
    assert_false(ros2d_bounce_is_wanted(pool, &held[0]));
    ros2d_bounce_wait(pool, &own.waiter, 1, &held[0]);
    ros2d_bounce_wait(pool, &at_cap.waiter, 1, &capped);
    assert_false(ros2d_bounce_is_wanted(pool, &held[0]));
    assert_true(ros2d_bounce_is_wanted(pool, &held[1]));
    ros2d_bounce_wait(pool, &other.waiter, 1, &modest);
    assert_true(ros2d_bounce_is_wanted(pool, &held[0]));
    ros2d_bounce_unwait(&own.waiter);
    ros2d_bounce_unwait(&at_cap.waiter);
    ros2d_bounce_unwait(&other.waiter);
    for (int i = 0; i < UNITS; i++)
        ros2d_bounce_put(pool, lease[i], &held[i]);
}

static void a_pool_too_small_for_its_longest_lease_is_refused(void **state)
{
    struct ros2d_bounce pool = {0};

    (void)state;
    assert_int_equal(ros2d_bounce_init(&pool, 4096, 7, 8), -EINVAL);
    assert_int_equal(ros2d_bounce_init(&pool, 4096, 7, 0), -EINVAL);
    ros2d_bounce_fini(&pool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(leases_do_not_overlap_and_are_all_that_there_is),
        TEST(a_long_lease_is_one_piece),
        TEST(one_holder_cannot_take_all),
        TEST(waiters_are_served_in_order_long_ones_too),
        TEST(a_holder_at_its_cap_lets_others_pass),
        TEST(who_gives_up_waiting_gets_nothing),
        TEST(a_pool_is_wanted_by_others_that_could_have_more),
        cmocka_unit_test(a_pool_too_small_for_its_longest_lease_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
