/* SPDX-License-Identifier: Apache-2.0 */
/* Error texts: one per thread, whole, safe to show. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>

#include "lib/base/error.h"

static void fail_gives_the_negative_number_and_sets_the_text(void **state)
{
    (void)state;
    assert_int_equal(ros2i_fail(ENOENT, "open %s: %s", "/a", "no such file"), -ENOENT);
    assert_string_equal(ros2i_error(), "open /a: no such file");
}

static void prefix_goes_before_the_text(void **state)
{
    (void)state;
    int rc = ros2i_fail(EIO, "disk is gone");
    assert_int_equal(ros2i_fail_prefix(rc, "read %d", 7), -EIO);
    assert_string_equal(ros2i_error(), "read 7: disk is gone");
}

static void the_current_text_may_be_an_argument(void **state)
{
    (void)state;
    ros2i_fail(EIO, "inner");
    ros2i_fail(EIO, "outer (%s)", ros2i_error());
    assert_string_equal(ros2i_error(), "outer (inner)");
    ros2i_fail_prefix(-EIO, "%s again", ros2i_error());
    assert_string_equal(ros2i_error(), "outer (inner) again: outer (inner)");
}

static void control_characters_become_visible(void **state)
{
    (void)state;
    ros2i_fail(EINVAL, "name %s", "a\x1b[31m\nb\x7f");
    assert_string_equal(ros2i_error(), "name a\\x1b[31m\\x0ab\\x7f");
}

static void a_long_text_is_cut_and_says_so(void **state)
{
    char name[4 * ROS2I_ERROR_MAX];

    (void)state;
    memset(name, '\n', sizeof name - 1); /* each becomes four characters */
    name[sizeof name - 1] = '\0';
    ros2i_fail(EINVAL, "%s", name);
    size_t len = strlen(ros2i_error());
    assert_in_range(len, ROS2I_ERROR_MAX - 8, ROS2I_ERROR_MAX - 1);
    assert_string_equal(ros2i_error() + len - 3, "...");
    for (int i = 0; i < 100; i++)
        ros2i_fail_prefix(-EINVAL, "%s", name);
    assert_true(strlen(ros2i_error()) < ROS2I_ERROR_MAX);
}

static void errnos_of_a_peer_are_filtered(void **state)
{
    (void)state;
    assert_int_equal(ros2i_errno_received(ENOENT), ENOENT);
    assert_int_equal(ros2i_errno_received(511), 511);
    static const int64_t bad[] = {0, -1, INT32_MIN, EINTR, 512, 4095, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ros2i_errno_received(bad[i]), EIO);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = ERANGE;
    ros2i_fail(EIO, "%s", "text");
    ros2i_fail_prefix(-EIO, "prefix");
    assert_int_equal(errno, ERANGE);
}

static void *fail_elsewhere(void *seen)
{
    *(size_t *)seen = strlen(ros2i_error());
    ros2i_fail(EIO, "another thread's");
    return NULL;
}

static void each_thread_has_its_own_text(void **state)
{
    pthread_t thread;
    size_t seen = 1;

    (void)state;
    ros2i_fail(EIO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen, 0);
    assert_string_equal(ros2i_error(), "mine");
}

static void strerror_knows_numbers_of_either_sign(void **state)
{
    (void)state;
    assert_string_equal(ros2i_strerror(ENOENT), "No such file or directory");
    assert_string_equal(ros2i_strerror(-ENOENT), "No such file or directory");
    assert_non_null(ros2i_strerror(123456));
    assert_non_null(ros2i_strerror(INT32_MIN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_gives_the_negative_number_and_sets_the_text),
        cmocka_unit_test(prefix_goes_before_the_text),
        cmocka_unit_test(the_current_text_may_be_an_argument),
        cmocka_unit_test(control_characters_become_visible),
        cmocka_unit_test(a_long_text_is_cut_and_says_so),
        cmocka_unit_test(errno_is_left_alone),
        cmocka_unit_test(errnos_of_a_peer_are_filtered),
        cmocka_unit_test(each_thread_has_its_own_text),
        cmocka_unit_test(strerror_knows_numbers_of_either_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
