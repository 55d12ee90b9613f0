/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and randomness: real by default, a test's own when injected. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/random.h"

static uint64_t fixed_now(void)
{
    return 42;
}

static int64_t fixed_wall(void)
{
    return -7;
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    uint64_t last = ros2i_now_ns();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = ros2i_now_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void the_wall_clock_is_utc_since_1970(void **state)
{
    int64_t seconds = ros2i_wall_clock_ns() / (int64_t)ROS2I_NS_PER_S;

    (void)state;
    assert_true(llabs(seconds - (int64_t)time(NULL)) <= 2);
}

static void injected_clocks_take_over_until_restored(void **state)
{
    (void)state;
    ros2i_clock_inject(fixed_now, fixed_wall);
    assert_int_equal(ros2i_now_ns(), 42);
    assert_int_equal(ros2i_wall_clock_ns(), -7);
    ros2i_clock_inject(NULL, NULL);
    assert_true(ros2i_now_ns() != 42);
    assert_true(ros2i_wall_clock_ns() > 0);
}

static int fill_with_fives(void *buf, size_t len)
{
    memset(buf, 5, len);
    return 0;
}

static int no_entropy(void *buf, size_t len)
{
    (void)buf;
    (void)len;
    return -EIO;
}

static void random_bytes_differ_and_fill_all_of_the_buffer(void **state)
{
    static uint8_t a[70000], b[70000]; /* longer than getrandom gives at once under a signal */
    int zeroes = 0;

    (void)state;
    assert_int_equal(ros2i_random(a, sizeof a), 0);
    assert_int_equal(ros2i_random(b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = sizeof a - 1000; i < sizeof a; i++)
        zeroes += a[i] == 0;
    assert_true(zeroes < 100);
    assert_int_equal(ros2i_random(a, 0), 0);
}

static void injected_randomness_takes_over_until_restored(void **state)
{
    uint8_t a[8] = {0}, fives[8] = {5, 5, 5, 5, 5, 5, 5, 5};

    (void)state;
    ros2i_random_inject(fill_with_fives);
    assert_int_equal(ros2i_random(a, sizeof a), 0);
    assert_memory_equal(a, fives, sizeof a);
    ros2i_random_inject(no_entropy);
    assert_int_equal(ros2i_random(a, sizeof a), -EIO);
    ros2i_random_inject(NULL);
    assert_int_equal(ros2i_random(a, sizeof a), 0);
    assert_memory_not_equal(a, fives, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(the_wall_clock_is_utc_since_1970),
        cmocka_unit_test(injected_clocks_take_over_until_restored),
        cmocka_unit_test(random_bytes_differ_and_fill_all_of_the_buffer),
        cmocka_unit_test(injected_randomness_takes_over_until_restored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
