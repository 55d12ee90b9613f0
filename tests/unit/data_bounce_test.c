/* SPDX-License-Identifier: Apache-2.0 */
/* The channel's bounce memory. */
#include "config.h"

#include "lib/data/bounce.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "tests/unit/unit.h"

struct rig {
    struct ros2i_bounce pool;
    struct ros2i_shared_view *view;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    *state = rig;
    return rig ? ros2i_shared_view_create(&rig->view) : -1;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    ros2i_bounce_fini(&rig->pool);
    ros2i_shared_view_destroy(rig->view);
    free(rig);
    return 0;
}

static int take(struct rig *rig, size_t len, struct ros2i_bounce_lease *lease)
{
    return ros2i_bounce_take(&rig->pool, rig->view, len, lease);
}

static void memory_is_taken_with_the_first_lease(void **state)
{
    struct rig *rig = *state;
    struct ros2i_bounce_lease lease;

    assert_null(rig->pool.base);
    assert_int_equal(take(rig, 1, &lease), 0);
    char *addr = ros2i_bounce_addr(&rig->pool, lease);
    assert_int_equal(ros2i_shared_view_run(rig->view, addr, ROS2I_BOUNCE_MAX), ROS2I_BOUNCE_MAX);
    ros2i_bounce_give(&rig->pool, &lease);
    ros2i_bounce_give(&rig->pool, &lease); /* of none: nothing */
}

static void leases_never_overlap_and_all_units_come_back(void **state)
{
    struct rig *rig = *state;
    struct ros2i_bounce_lease lease[ROS2I_BOUNCE_UNITS] = {{0, 0}};
    bool unit[ROS2I_BOUNCE_UNITS] = {false};
    uint64_t seed = 7;

    for (int round = 0; round < 20000; round++) {
        struct ros2i_bounce_lease *at = &lease[unit_next(&seed) % ROS2I_BOUNCE_UNITS];
        bool had = at->units > 0;
        for (unsigned i = at->first; had && i < at->first + (unsigned)at->units; i++)
            unit[i] = false;
        ros2i_bounce_give(&rig->pool, at);
        if (had)
            continue;
        size_t len = 1 + unit_next(&seed) % (ROS2I_BOUNCE_UNIT * 20);
        int rc = take(rig, len, at);
        if (rc == -EAGAIN)
            continue;
        assert_int_equal(rc, 0);
        assert_true((size_t)at->units * ROS2I_BOUNCE_UNIT >= len);
        for (unsigned i = at->first; i < at->first + (unsigned)at->units; i++) {
            assert_in_range(i, 0, ROS2I_BOUNCE_UNITS - 1);
            assert_false(unit[i]);
            unit[i] = true;
        }
    }
    for (unsigned i = 0; i < ROS2I_BOUNCE_UNITS; i++)
        ros2i_bounce_give(&rig->pool, &lease[i]);
    assert_int_equal(take(rig, ROS2I_BOUNCE_MAX, &lease[0]), 0);
    assert_int_equal(take(rig, 1, &lease[1]), -EAGAIN);
    ros2i_bounce_give(&rig->pool, &lease[0]);
}

/* After a daemon had to be cut off the pool is of several files: a run over their border could not be registered. */
static void a_patched_pool_is_made_anew_once_it_is_free(void **state)
{
    struct rig *rig = *state;
    const struct ros2_shared_memory *memory = ros2i_shared_view_memory(rig->view);
    struct ros2i_bounce_lease a, b;

    assert_int_equal(take(rig, ROS2I_BOUNCE_UNIT, &a), 0);
    assert_int_equal(take(rig, ROS2I_BOUNCE_UNIT, &b), 0);
    assert_int_equal(
        memory->replace(memory->arg, ros2i_bounce_addr(&rig->pool, b), ROS2I_BOUNCE_UNIT), 0);
    ros2i_bounce_give(&rig->pool, &b);
    assert_int_equal(take(rig, 1, &b), -EAGAIN); /* a holds a unit yet */
    ros2i_bounce_give(&rig->pool, &a);
    assert_int_equal(take(rig, ROS2I_BOUNCE_MAX, &a), 0);
    assert_int_equal(ros2i_shared_view_run(rig->view, rig->pool.base, ROS2I_BOUNCE_MAX),
                     ROS2I_BOUNCE_MAX);
    ros2i_bounce_give(&rig->pool, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_taken_with_the_first_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(leases_never_overlap_and_all_units_come_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_patched_pool_is_made_anew_once_it_is_free, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
