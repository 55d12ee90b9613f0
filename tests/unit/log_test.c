/* SPDX-License-Identifier: Apache-2.0 */
/* The log: silent by default, one sink, safe to change while others write. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

struct seen {
    int lines;
    enum ros2_log_level level;
    char outlet[32], line[2048];
};

static void remember(void *arg, enum ros2_log_level level, const char *outlet, const char *line)
{
    struct seen *seen = arg;

    seen->lines++;
    seen->level = level;
    snprintf(seen->outlet, sizeof seen->outlet, "%s", outlet);
    snprintf(seen->line, sizeof seen->line, "%s", line);
}

static int make_silent(void **state)
{
    (void)state;
    ros2i_log_sink(NULL, NULL, ROS2_LOG_ERROR);
    return 0;
}

static void a_line_reaches_the_sink_with_level_and_outlet(void **state)
{
    struct seen seen = {0};

    (void)state;
    ros2i_log(ROS2_LOG_ERROR, "data", "lost");
    ros2i_log_sink(remember, &seen, ROS2_LOG_INFO);
    ros2i_log(ROS2_LOG_INFO, "data", "channel %d epoch %d", 3, 2);
    assert_int_equal(seen.lines, 1);
    assert_int_equal(seen.level, ROS2_LOG_INFO);
    assert_string_equal(seen.outlet, "data");
    assert_string_equal(seen.line, "channel 3 epoch 2");
}

static void lines_above_the_level_are_dropped(void **state)
{
    struct seen seen = {0};

    (void)state;
    ros2i_log_sink(remember, &seen, ROS2_LOG_WARN);
    ros2i_log(ROS2_LOG_INFO, "data", "dropped");
    ros2i_log(ROS2_LOG_WARN, "data", "kept");
    ros2i_log(ROS2_LOG_ERROR, "data", "kept");
    assert_int_equal(seen.lines, 2);
}

static void a_sink_that_was_taken_away_gets_no_line(void **state)
{
    struct seen first = {0}, second = {0};

    (void)state;
    ros2i_log_sink(remember, &first, ROS2_LOG_DEBUG);
    ros2i_log_sink(remember, &second, ROS2_LOG_DEBUG);
    ros2i_log(ROS2_LOG_DEBUG, "data", "x");
    ros2i_log_sink(NULL, NULL, ROS2_LOG_DEBUG);
    ros2i_log(ROS2_LOG_ERROR, "data", "x");
    assert_int_equal(first.lines, 0);
    assert_int_equal(second.lines, 1);
}

static void control_bytes_are_escaped_and_long_lines_cut(void **state)
{
    struct seen seen = {0};
    char name[3000];

    (void)state;
    ros2i_log_sink(remember, &seen, ROS2_LOG_DEBUG);
    ros2i_log(ROS2_LOG_WARN, "data", "name %s", "a\nforged line");
    assert_string_equal(seen.line, "name a\\x0aforged line");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ros2i_log(ROS2_LOG_WARN, "data", "name %s", name);
    assert_in_range(strlen(seen.line), 900, 1024);
}

static void a_line_changes_neither_errno_nor_the_error_text(void **state)
{
    struct seen seen = {0};

    (void)state;
    ros2i_fail(EIO, "before");
    ros2i_log_sink(remember, &seen, ROS2_LOG_DEBUG);
    errno = ERANGE;
    ros2i_log(ROS2_LOG_WARN, "data", "%s", "line");
    assert_int_equal(errno, ERANGE);
    assert_string_equal(ros2i_error(), "before");
}

static void level_names_are_read(void **state)
{
    enum ros2_log_level level = ROS2_LOG_ERROR;

    (void)state;
    assert_int_equal(ros2i_log_level("debug", &level), 0);
    assert_int_equal(level, ROS2_LOG_DEBUG);
    assert_int_equal(ros2i_log_level("error", &level), 0);
    assert_int_equal(level, ROS2_LOG_ERROR);
    assert_int_equal(ros2i_log_level("warn", &level), 0);
    assert_int_equal(ros2i_log_level("info", &level), 0);
    assert_int_equal(ros2i_log_level("loud", &level), -EINVAL);
    assert_int_equal(level, ROS2_LOG_INFO); /* untouched by the failure */
    assert_text_has(ros2i_error(), "loud");
}

static int64_t noon(void)
{
    return 1700000000ll * 1000000000 + 42000000;
}

static void stderr_sink_writes_time_level_outlet_and_line(void **state)
{
    int ends[2], saved = dup(STDERR_FILENO);
    char text[256] = "";

    (void)state;
    assert_int_equal(pipe(ends), 0);
    ros2i_clock_inject(NULL, noon);
    dup2(ends[1], STDERR_FILENO);
    ros2i_log_stderr(NULL, ROS2_LOG_WARN, "data", "channel 1 lost");
    dup2(saved, STDERR_FILENO);
    ros2i_clock_inject(NULL, NULL);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    assert_string_equal(text, "2023-11-14T22:13:20.042Z warn data: channel 1 lost\n");
    close(ends[0]);
    close(ends[1]);
    close(saved);
}

static atomic_int lines_a, lines_b;
static atomic_bool stop;

static void count(void *arg, enum ros2_log_level level, const char *outlet, const char *line)
{
    (void)level;
    (void)outlet;
    (void)line;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void *keep_logging(void *arg)
{
    while (!atomic_load(&stop))
        ros2i_log(ROS2_LOG_INFO, "data", "line");
    return arg;
}

/* Mostly for the thread sanitizer: fn and arg are always of one pair. */
static void the_sink_may_change_while_threads_write(void **state)
{
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_logging, NULL), 0);
    while (atomic_load(&lines_a) < 200 || atomic_load(&lines_b) < 200) {
        ros2i_log_sink(count, &lines_a, ROS2_LOG_INFO);
        ros2i_log_sink(NULL, NULL, ROS2_LOG_INFO);
        ros2i_log_sink(count, &lines_b, ROS2_LOG_DEBUG);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_line_reaches_the_sink_with_level_and_outlet, make_silent),
        cmocka_unit_test_teardown(lines_above_the_level_are_dropped, make_silent),
        cmocka_unit_test_teardown(a_sink_that_was_taken_away_gets_no_line, make_silent),
        cmocka_unit_test_teardown(control_bytes_are_escaped_and_long_lines_cut, make_silent),
        cmocka_unit_test_teardown(a_line_changes_neither_errno_nor_the_error_text, make_silent),
        cmocka_unit_test_teardown(level_names_are_read, make_silent),
        cmocka_unit_test_teardown(stderr_sink_writes_time_level_outlet_and_line, make_silent),
        cmocka_unit_test_teardown(the_sink_may_change_while_threads_write, make_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
