/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and open flags as text and bits. */
#include "config.h"

#include "lib/core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/open_flags.h"
#include "ros2/engine.h"

static void dots_and_slashes_are_resolved_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *path, *resolved;
        bool directory;
    } cases[] = {
        {"/", "/", true},
        {"//", "/", true},
        {"/a", "/a", false},
        {"/a/", "/a", true},
        {"/a//b", "/a/b", false},
        {"/./a/./b", "/a/b", false},
        {"/a/.", "/a", true},
        {"/a/..", "/", true},
        {"/..", "/", true},
        {"/../../a", "/a", false},
        {"/a/b/../c", "/a/c", false},
        {"/a/b/../../..", "/", true},
        {"/...", "/...", false},
        {"/.a", "/.a", false},
        {"/a/..b", "/a/..b", false},
        {"/a b", "/a b", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ros2i_path path;
        assert_int_equal(ros2i_path_resolve(cases[i].path, &path), 0);
        assert_string_equal(path.text, cases[i].resolved);
        assert_int_equal(path.directory, cases[i].directory);
    }
}

static void relative_and_empty_paths_are_refused(void **state)
{
    (void)state;
    struct ros2i_path path;
    assert_int_equal(ros2i_path_resolve("a/b", &path), -EINVAL);
    assert_int_equal(ros2i_path_resolve("../a", &path), -EINVAL);
    assert_int_equal(ros2i_path_resolve("", &path), -ENOENT);
    assert_int_equal(ros2i_path_resolve(NULL, &path), -EINVAL);
}

static void long_names_and_paths_are_refused_at_their_limits(void **state)
{
    (void)state;
    static char text[ROS2I_PATH_MAX + 10];
    struct ros2i_path path;
    memset(text, 'n', sizeof(text));
    text[0] = '/';
    text[1 + 255] = '\0';
    assert_int_equal(ros2i_path_resolve(text, &path), 0);
    text[1 + 255] = 'n';
    text[1 + 256] = '\0';
    assert_int_equal(ros2i_path_resolve(text, &path), -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? 'd' : '/';
    text[4095] = '\0';
    assert_int_equal(ros2i_path_resolve(text, &path), 0);
    assert_int_equal(strlen(path.text), 4094); /* it ended in a slash */
    text[4095] = 'd';
    text[4096] = '\0';
    assert_int_equal(ros2i_path_resolve(text, &path), -ENAMETOOLONG);
}

static void parent_of_a_path_is_its_directory(void **state)
{
    (void)state;
    struct ros2i_path path;
    static const char *const cases[][2] = {{"/a/b/c", "/a/b"}, {"/a", "/"}, {"/", "/"}};
    for (size_t i = 0; i < 3; i++) {
        ros2i_path_resolve(cases[i][0], &path);
        ros2i_path_parent(&path);
        assert_string_equal(path.text, cases[i][1]);
    }
}

static void open_flags_become_those_of_the_wire(void **state)
{
    (void)state;
    unsigned wire = 0;
    assert_int_equal(ros2i_open_flags(O_RDONLY, &wire), 0);
    assert_int_equal(wire, ROS2_OPEN_READ);
    assert_int_equal(ros2i_open_flags(O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, &wire), 0);
    assert_int_equal(wire, ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_EXCLUSIVE);
    assert_int_equal(ros2i_open_flags(O_RDWR | O_TRUNC | O_APPEND | O_NOFOLLOW, &wire), 0);
    assert_int_equal(wire, ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_TRUNCATE |
                               ROS2_OPEN_APPEND | ROS2_OPEN_NOFOLLOW);
    assert_int_equal(ros2i_open_flags(O_RDONLY | O_DIRECTORY, &wire), 0);
    assert_int_equal(wire, ROS2_OPEN_READ | ROS2_OPEN_DIRECTORY);
}

static void open_flags_that_cannot_be_kept_are_refused(void **state)
{
    (void)state;
    static const int bad[] = {O_RDONLY | O_DIRECT,
                              O_WRONLY | O_SYNC,
                              O_WRONLY | O_DSYNC,
                              O_RDONLY | O_NONBLOCK,
                              O_RDONLY | O_PATH,
                              O_RDWR | O_TMPFILE,
                              O_ACCMODE,
                              O_RDONLY | O_TRUNC,
                              O_RDWR | O_EXCL,
                              O_RDWR | O_CREAT | O_DIRECTORY,
                              1 << 30};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unsigned wire = 12345;
        assert_int_equal(ros2i_open_flags(bad[i], &wire), -EINVAL);
        assert_int_equal(wire, 12345);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dots_and_slashes_are_resolved_as_text),
        cmocka_unit_test(relative_and_empty_paths_are_refused),
        cmocka_unit_test(long_names_and_paths_are_refused_at_their_limits),
        cmocka_unit_test(parent_of_a_path_is_its_directory),
        cmocka_unit_test(open_flags_become_those_of_the_wire),
        cmocka_unit_test(open_flags_that_cannot_be_kept_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
