/* SPDX-License-Identifier: Apache-2.0 */
/* How long a wait polls: long where that is enough, hardly where it is not, and it finds out when that changes. */
#include "config.h"

#include "lib/core/spin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MOST  100000u
#define LEAST 1250u

/* One wait for an answer that takes answer_ns; what was polled for. */
static uint32_t wait_for(struct ros2i_spin *spin, uint32_t answer_ns)
{
    uint32_t polled = answer_ns < spin->now_ns ? answer_ns : spin->now_ns;
    assert_in_range(spin->now_ns, LEAST, MOST);
    ros2i_spin_learn(spin, polled, answer_ns >= spin->now_ns);
    return polled;
}

static uint64_t wait_often(struct ros2i_spin *spin, uint32_t answer_ns, unsigned times)
{
    uint64_t polled = 0;
    for (unsigned i = 0; i < times; i++)
        polled += wait_for(spin, answer_ns);
    return polled;
}

static void answers_in_time_are_polled_for(void **state)
{
    struct ros2i_spin spin;
    (void)state;
    ros2i_spin_init(&spin, MOST);
    assert_int_equal(wait_often(&spin, 45000, 10000), 45000ull * 10000);
}

static void answers_that_take_longer_are_slept_for(void **state)
{
    struct ros2i_spin spin;
    (void)state;
    ros2i_spin_init(&spin, MOST);
    /* Little more than the least: trials become rare. */
    assert_in_range(wait_often(&spin, 10 * MOST, 100000), 0, 100000ull * LEAST * 3);
}

static void answers_that_become_quick_are_noticed(void **state)
{
    struct ros2i_spin spin;
    (void)state;
    ros2i_spin_init(&spin, MOST);
    wait_often(&spin, 10 * MOST, 1000000);
    wait_often(&spin, 45000, 5000);
    assert_int_equal(spin.now_ns, MOST);
    assert_int_equal(wait_for(&spin, 45000), 45000);
    /* And very quick ones at once. */
    wait_often(&spin, 10 * MOST, 1000000);
    wait_for(&spin, 1000);
    assert_int_equal(spin.now_ns, MOST);
}

/* As where the daemon runs on the same CPU: it has answered before this thread goes on. */
static void what_polling_did_not_bring_teaches_nothing(void **state)
{
    struct ros2i_spin spin;
    (void)state;
    ros2i_spin_init(&spin, MOST);
    wait_often(&spin, 10 * MOST, 20);
    assert_int_equal(spin.now_ns, LEAST);
    ros2i_spin_learn(&spin, 0, false);
    ros2i_spin_learn(&spin, LEAST + 1, false);
    assert_int_equal(spin.now_ns, LEAST);
}

/* One in a hundred is late, the others take most of the time that is polled for. */
static void a_late_answer_now_and_then_changes_nothing(void **state)
{
    struct ros2i_spin spin;
    (void)state;
    ros2i_spin_init(&spin, MOST);
    for (unsigned i = 0; i < 1000; i++) {
        wait_often(&spin, 10 * MOST, 3);
        assert_int_equal(wait_often(&spin, MOST - 10000, 97), 97ull * (MOST - 10000));
    }
}

/* To wake it up takes longer than it would then take to answer. */
static void a_trial_outlasts_a_daemon_that_sleeps(void **state)
{
    struct ros2i_spin spin;
    (void)state;
    ros2i_spin_init(&spin, MOST);
    wait_often(&spin, 10 * MOST, 1000);
    while (spin.now_ns < MOST)
        wait_for(&spin, 10 * MOST);
    wait_for(&spin, MOST + 1);
    wait_for(&spin, MOST - 10000);
    assert_int_equal(wait_often(&spin, MOST - 10000, 100), 100ull * (MOST - 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_time_are_polled_for),
        cmocka_unit_test(answers_that_take_longer_are_slept_for),
        cmocka_unit_test(answers_that_become_quick_are_noticed),
        cmocka_unit_test(a_late_answer_now_and_then_changes_nothing),
        cmocka_unit_test(a_trial_outlasts_a_daemon_that_sleeps),
        cmocka_unit_test(what_polling_did_not_bring_teaches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
