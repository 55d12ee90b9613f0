/* SPDX-License-Identifier: Apache-2.0 */
/* Timers against a clock that the test moves by hand, and against a plain list as the model. */
#include "config.h"

#include "tests/unit/unit.h"

#include "lib/base/clock.h"
#include "lib/base/timers.h"

#define MANY 300

static uint64_t now;

static uint64_t hand_clock(void)
{
    return now;
}

struct probe {
    struct ros2i_timer timer; /* first: fire gets it back by a cast */
    struct ros2i_timers *timers;
    struct probe *other;
    int fired;
    uint64_t rearm_ns;
};

static int order[MANY], order_count;

static void note(struct ros2i_timer *timer)
{
    struct probe *probe = (struct probe *)timer;

    probe->fired++;
    order[order_count++ % MANY] = (int)timer->deadline_ns;
    assert_int_equal(timer->index, 0);
}

static void note_and_disarm_other(struct ros2i_timer *timer)
{
    struct probe *probe = (struct probe *)timer;

    note(timer);
    ros2i_timers_disarm(probe->timers, &probe->other->timer);
}

static void note_and_rearm(struct ros2i_timer *timer)
{
    struct probe *probe = (struct probe *)timer;

    note(timer);
    assert_int_equal(ros2i_timers_arm(probe->timers, timer, probe->rearm_ns), 0);
}

static int setup(void **state)
{
    struct ros2i_timers *timers = malloc(sizeof *timers);

    ros2i_timers_init(timers);
    ros2i_clock_inject(hand_clock, NULL);
    now = 0;
    order_count = 0;
    *state = timers;
    return timers ? 0 : -1;
}

static int teardown(void **state)
{
    ros2i_timers_fini(*state);
    ros2i_clock_inject(NULL, NULL);
    free(*state);
    return 0;
}

static void due_timers_fire_in_order_and_others_wait(void **state)
{
    struct ros2i_timers *timers = *state;
    struct probe probe[5] = {{.timer.fire = note},
                             {.timer.fire = note},
                             {.timer.fire = note},
                             {.timer.fire = note},
                             {.timer.fire = note}};
    static const uint64_t deadline[5] = {50, 10, 40, 20, 30};

    for (int i = 0; i < 5; i++)
        assert_int_equal(ros2i_timers_arm(timers, &probe[i].timer, deadline[i]), 0);
    now = 9;
    assert_int_equal(ros2i_timers_run(timers, ros2i_now_ns()), 0);
    now = 40; /* due at its very deadline */
    assert_int_equal(ros2i_timers_run(timers, ros2i_now_ns()), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(order[i], 10 * (i + 1));
    assert_int_equal(ros2i_timers_next(timers), 50);
    assert_int_equal(probe[0].fired, 0);
    ros2i_timers_disarm(timers, &probe[0].timer);
}

static void next_is_the_nearest_deadline_or_forever(void **state)
{
    struct ros2i_timers *timers = *state;
    struct probe a = {.timer.fire = note}, b = {.timer.fire = note};

    assert_true(ros2i_timers_next(timers) == UINT64_MAX);
    ros2i_timers_arm(timers, &a.timer, 70);
    ros2i_timers_arm(timers, &b.timer, 60);
    assert_int_equal(ros2i_timers_next(timers), 60);
    ros2i_timers_disarm(timers, &b.timer);
    assert_int_equal(ros2i_timers_next(timers), 70);
    ros2i_timers_disarm(timers, &a.timer);
    assert_true(ros2i_timers_next(timers) == UINT64_MAX);
}

static void arming_again_moves_the_timer(void **state)
{
    struct ros2i_timers *timers = *state;
    struct probe a = {.timer.fire = note}, b = {.timer.fire = note};

    ros2i_timers_arm(timers, &a.timer, 10);
    ros2i_timers_arm(timers, &b.timer, 20);
    ros2i_timers_arm(timers, &a.timer, 30);
    assert_int_equal(ros2i_timers_next(timers), 20);
    assert_int_equal(ros2i_timers_run(timers, 25), 1);
    assert_int_equal(a.fired, 0);
    ros2i_timers_arm(timers, &a.timer, 5);
    assert_int_equal(ros2i_timers_run(timers, 25), 1);
    assert_int_equal(a.fired, 1);
}

static void disarming_twice_or_before_arming_does_nothing(void **state)
{
    struct ros2i_timers *timers = *state;
    struct probe a = {.timer.fire = note};

    ros2i_timers_disarm(timers, &a.timer);
    ros2i_timers_arm(timers, &a.timer, 1);
    ros2i_timers_disarm(timers, &a.timer);
    ros2i_timers_disarm(timers, &a.timer);
    assert_int_equal(ros2i_timers_run(timers, 100), 0);
}

static void a_timer_may_disarm_another_that_is_due(void **state)
{
    struct ros2i_timers *timers = *state;
    struct probe b = {.timer.fire = note};
    struct probe a = {.timer.fire = note_and_disarm_other, .timers = timers, .other = &b};

    ros2i_timers_arm(timers, &a.timer, 1);
    ros2i_timers_arm(timers, &b.timer, 2);
    assert_int_equal(ros2i_timers_run(timers, 10), 1);
    assert_int_equal(b.fired, 0);
}

static void a_timer_that_arms_itself_for_the_past_does_not_hold_up_the_run(void **state)
{
    struct ros2i_timers *timers = *state;
    struct probe a = {.timer.fire = note_and_rearm, .timers = timers, .rearm_ns = 5};

    ros2i_timers_arm(timers, &a.timer, 1);
    assert_int_equal(ros2i_timers_run(timers, 10), 1);
    assert_int_equal(ros2i_timers_next(timers), 5);
    assert_int_equal(ros2i_timers_run(timers, 10), 1);
    assert_int_equal(a.fired, 2);
    ros2i_timers_disarm(timers, &a.timer);
}

static void ending_forgets_armed_timers_without_firing(void **state)
{
    struct ros2i_timers timers;
    struct probe a = {.timer.fire = note};

    (void)state;
    ros2i_timers_init(&timers);
    ros2i_timers_arm(&timers, &a.timer, 1);
    ros2i_timers_fini(&timers);
    assert_int_equal(a.fired, 0);
    assert_int_equal(a.timer.index, 0);
    assert_int_equal(ros2i_timers_run(&timers, 10), 0);
}

/* Fires all that the model says are due, and checks that exactly those fired, in order. */
static void run_and_compare(struct ros2i_timers *timers, struct probe *probe, uint64_t *deadline)
{
    int due = 0;
    uint64_t last = 0;

    for (int i = 0; i < MANY; i++)
        due += deadline[i] != UINT64_MAX && deadline[i] <= now;
    order_count = 0;
    assert_int_equal(ros2i_timers_run(timers, now), due);
    for (int i = 0; i < due; i++) {
        assert_true((uint64_t)order[i] >= last);
        last = (uint64_t)order[i];
    }
    for (int i = 0; i < MANY; i++) {
        int is_due = deadline[i] <= now;
        assert_int_equal(probe[i].fired, is_due);
        probe[i].fired = 0;
        if (is_due)
            deadline[i] = UINT64_MAX;
    }
}

static void random_arming_behaves_as_a_plain_list(void **state)
{
    struct ros2i_timers *timers = *state;
    static struct probe probe[MANY];
    uint64_t deadline[MANY], seed = 3;

    memset(probe, 0, sizeof probe);
    for (int i = 0; i < MANY; i++) {
        probe[i].timer.fire = note;
        deadline[i] = UINT64_MAX;
    }
    for (int round = 0; round < 20000; round++) {
        size_t i = unit_next(&seed) % MANY;

        if (unit_next(&seed) % 4 == 0) {
            ros2i_timers_disarm(timers, &probe[i].timer);
            deadline[i] = UINT64_MAX;
        } else {
            deadline[i] = now + 1 + unit_next(&seed) % 1000;
            assert_int_equal(ros2i_timers_arm(timers, &probe[i].timer, deadline[i]), 0);
        }
        uint64_t nearest = UINT64_MAX;
        for (int k = 0; k < MANY; k++)
            nearest = deadline[k] < nearest ? deadline[k] : nearest;
        assert_true(ros2i_timers_next(timers) == nearest);
        if (unit_next(&seed) % 16 == 0) {
            now += unit_next(&seed) % 100;
            run_and_compare(timers, probe, deadline);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(due_timers_fire_in_order_and_others_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(next_is_the_nearest_deadline_or_forever, setup, teardown),
        cmocka_unit_test_setup_teardown(arming_again_moves_the_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(disarming_twice_or_before_arming_does_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_timer_may_disarm_another_that_is_due, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_timer_that_arms_itself_for_the_past_does_not_hold_up_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(ending_forgets_armed_timers_without_firing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(random_arming_behaves_as_a_plain_list, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
