/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms: quantiles within 1.6 % of the truth, for every magnitude. */
#include "config.h"

#include "tests/unit/unit.h"

#include "lib/base/histogram.h"

static struct ros2i_histogram h, other; /* 30 KiB each: not on the stack */

static int setup(void **state)
{
    (void)state;
    ros2i_histogram_init(&h);
    ros2i_histogram_init(&other);
    return 0;
}

static void an_empty_one_gives_zero(void **state)
{
    (void)state;
    assert_int_equal(ros2i_histogram_quantile(&h, 0.5), 0);
    assert_int_equal(h.count, 0);
    assert_int_equal(h.min, 0);
    assert_int_equal(h.max, 0);
}

static void a_single_value_is_every_quantile(void **state)
{
    static const uint64_t values[] = {
        0, 1, 63, 64, 65, 127, 128, 1000000, 1ull << 40, UINT64_MAX - 1, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        ros2i_histogram_init(&h);
        ros2i_histogram_add(&h, values[i]);
        assert_true(ros2i_histogram_quantile(&h, 0) == values[i]);
        assert_true(ros2i_histogram_quantile(&h, 0.5) == values[i]);
        assert_true(ros2i_histogram_quantile(&h, 1) == values[i]);
        assert_true(h.min == values[i] && h.max == values[i] && h.sum == values[i]);
    }
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t v = 1; v <= 100; v++)
        ros2i_histogram_add(&h, v);
    assert_int_equal(ros2i_histogram_quantile(&h, 0.01), 1);
    assert_int_equal(ros2i_histogram_quantile(&h, 0.5), 50);
    assert_int_equal(ros2i_histogram_quantile(&h, 0.99), 99);
    assert_int_equal(ros2i_histogram_quantile(&h, 1), 100);
    assert_int_equal(h.sum, 5050);
    assert_int_equal(h.min, 1);
    assert_int_equal(h.max, 100);
}

static void a_quantile_is_never_below_the_truth_nor_1_6_percent_above(void **state)
{
    uint64_t seed = 9;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        uint64_t value = unit_next(&seed) >> (unit_next(&seed) % 64);

        ros2i_histogram_init(&h);
        ros2i_histogram_add(&h, 0);
        ros2i_histogram_add(&h, value);
        ros2i_histogram_add(&h, UINT64_MAX);
        uint64_t median = ros2i_histogram_quantile(&h, 0.5);
        assert_true(median >= value);
        assert_true((double)(median - value) <= 0.016 * (double)value);
    }
}

static void a_quantile_is_never_above_the_largest_value(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        ros2i_histogram_add(&h, 1000001);
    assert_int_equal(ros2i_histogram_quantile(&h, 0.5), 1000001);
    assert_int_equal(ros2i_histogram_quantile(&h, 0.999), 1000001);
}

static void odd_fractions_are_clamped(void **state)
{
    (void)state;
    ros2i_histogram_add(&h, 3);
    ros2i_histogram_add(&h, 9);
    assert_int_equal(ros2i_histogram_quantile(&h, -1), 3);
    assert_int_equal(ros2i_histogram_quantile(&h, 2), 9);
    assert_int_equal(ros2i_histogram_quantile(&h, __builtin_nan("")), 3);
}

static void merging_is_as_if_all_had_been_added_to_one(void **state)
{
    static struct ros2i_histogram whole;
    uint64_t seed = 5;

    (void)state;
    ros2i_histogram_init(&whole);
    for (int i = 0; i < 5000; i++) {
        uint64_t value = unit_next(&seed) >> 20;
        ros2i_histogram_add(i % 3 ? &h : &other, value);
        ros2i_histogram_add(&whole, value);
    }
    ros2i_histogram_merge(&h, &other);
    assert_memory_equal(&h, &whole, sizeof h);
    ros2i_histogram_init(&other);
    ros2i_histogram_merge(&h, &other); /* an empty one changes nothing */
    assert_memory_equal(&h, &whole, sizeof h);
    ros2i_histogram_merge(&other, &h);
    assert_memory_equal(&other, &whole, sizeof h);
}

static void the_sum_saturates(void **state)
{
    (void)state;
    ros2i_histogram_add(&h, UINT64_MAX);
    ros2i_histogram_add(&h, 5);
    assert_true(h.sum == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_gives_zero, setup),
        cmocka_unit_test_setup(a_single_value_is_every_quantile, setup),
        cmocka_unit_test_setup(small_values_are_exact, setup),
        cmocka_unit_test_setup(a_quantile_is_never_below_the_truth_nor_1_6_percent_above, setup),
        cmocka_unit_test_setup(a_quantile_is_never_above_the_largest_value, setup),
        cmocka_unit_test_setup(odd_fractions_are_clamped, setup),
        cmocka_unit_test_setup(merging_is_as_if_all_had_been_added_to_one, setup),
        cmocka_unit_test_setup(the_sum_saturates, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
