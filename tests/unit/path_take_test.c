/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/control/path.c and arena.c: what a request may contain. */
#include "config.h"

#include "daemon/control/path.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/control/arena.h"
#include "ros2/engine.h"

static int take(const char *sent, size_t len, const char *expected)
{
    char path[ROS2D_PATH_MAX + 1] = "untouched";
    int rc = ros2d_path_take((const uint8_t *)sent, len, path);

    assert_string_equal(path, rc == 0 ? expected : "untouched");
    return rc;
}

static int take_text(const char *sent, const char *expected)
{
    return take(sent, strlen(sent), expected);
}

static void good_paths_lose_their_slashes(void **state)
{
    (void)state;
    assert_int_equal(take_text("/", ""), 0);
    assert_int_equal(take_text("////", ""), 0);
    assert_int_equal(take_text("/a", "a"), 0);
    assert_int_equal(take_text("//a///b/", "a/b"), 0);
    assert_int_equal(take_text("/.../..a/.b", ".../..a/.b"), 0);
    assert_int_equal(take_text("/\xff\xfe", "\xff\xfe"), 0);
}

static void bad_paths_are_refused(void **state)
{
    (void)state;
    assert_int_equal(take_text("", ""), -EINVAL);
    assert_int_equal(take_text("a", ""), -EINVAL);
    assert_int_equal(take_text("/.", ""), -EINVAL);
    assert_int_equal(take_text("/..", ""), -EINVAL);
    assert_int_equal(take_text("/a/../b", ""), -EINVAL);
    assert_int_equal(take_text("/a/./b", ""), -EINVAL);
    assert_int_equal(take_text("/a/..", ""), -EINVAL);
    assert_int_equal(take("/a\0b", 4, ""), -EINVAL);
    assert_int_equal(take("\0", 1, ""), -EINVAL);
}

static void lengths_are_bounded(void **state)
{
    char sent[ROS2D_PATH_MAX + 2], expected[ROS2D_PATH_MAX + 1];

    (void)state;
    memset(sent, '/', sizeof sent);
    assert_int_equal(take(sent, ROS2D_PATH_MAX, ""), 0);
    assert_int_equal(take(sent, ROS2D_PATH_MAX + 1, ""), -ENAMETOOLONG);
    memset(sent + 1, 'n', 256);
    assert_int_equal(take(sent, 257, ""), -ENAMETOOLONG);
    memset(expected, 'n', 255);
    expected[255] = '\0';
    assert_int_equal(take(sent, 256, expected), 0);
    for (size_t i = 0; i < ROS2D_PATH_MAX; i++)
        sent[i] = i % 2 ? 'x' : '/';
    memcpy(expected, sent + 1, ROS2D_PATH_MAX - 2);
    expected[ROS2D_PATH_MAX - 2] = '\0'; /* the last byte is a '/' */
    assert_int_equal(take(sent, ROS2D_PATH_MAX, expected), 0);
}

static void flags_must_make_sense(void **state)
{
    (void)state;
    assert_int_equal(ros2d_path_check_open(ROS2_OPEN_READ, 0), 0);
    assert_int_equal(
        ros2d_path_check_open(ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_EXCLUSIVE, 0644), 0);
    assert_int_equal(
        ros2d_path_check_open(ROS2_OPEN_WRITE | ROS2_OPEN_APPEND | ROS2_OPEN_TRUNCATE, 07777), 0);
    assert_int_equal(ros2d_path_check_open(0, 0), -EINVAL);
    assert_int_equal(ros2d_path_check_open(ROS2_OPEN_CREATE, 0), -EINVAL);
    assert_int_equal(ros2d_path_check_open(ROS2_OPEN_READ | ROS2_OPEN_TRUNCATE, 0), -EINVAL);
    assert_int_equal(ros2d_path_check_open(ROS2_OPEN_READ | ROS2_OPEN_APPEND, 0), -EINVAL);
    assert_int_equal(ros2d_path_check_open(ROS2_OPEN_READ | ROS2_OPEN_EXCLUSIVE, 0), -EINVAL);
    assert_int_equal(ros2d_path_check_open(ROS2_OPEN_READ | 256, 0), -EINVAL);
    assert_int_equal(ros2d_path_check_open(ROS2_OPEN_READ, 010000), -EINVAL);
}

static void an_arena_gives_no_more_than_its_limit(void **state)
{
    struct ros2d_arena arena;
    size_t given = 0;
    unsigned char *piece;

    (void)state;
    ros2d_arena_init(&arena, 10000);
    while ((piece = ros2d_arena_alloc(&arena, 100))) {
        assert_int_equal((uintptr_t)piece % 16, 0);
        for (int i = 0; i < 100; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xff, 100);
        given += 100;
        assert_true(given <= 10000);
    }
    assert_true(given > 5000);
    assert_null(ros2d_arena_alloc(&arena, SIZE_MAX));
    assert_null(ros2d_arena_alloc(&arena, 20000));
    ros2d_arena_reset(&arena, 20000);
    assert_non_null(ros2d_arena_alloc(&arena, 19000));
    ros2d_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_paths_lose_their_slashes),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(flags_must_make_sense),
        cmocka_unit_test(an_arena_gives_no_more_than_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
