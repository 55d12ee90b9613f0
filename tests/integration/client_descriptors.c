/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon that may have few descriptors: who opens all the files that it lets him open takes none from others. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define DESCRIPTORS 400
#define FILES       1000

static struct daemon d;
static uint8_t data[5000];

/* By way of a shell that lowers the limit for it. */
static void start_with_few(char *script, size_t size)
{
    const char *ros2d = getenv("ROS2D"), *tmp = getenv("TMPDIR");
    snprintf(script, size, "%s/ros2d-few-XXXXXX", tmp ? tmp : "/tmp");
    int fd = mkstemp(script);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    fprintf(f, "#!/bin/sh\nulimit -n %d\nexec '%s' \"$@\"\n", DESCRIPTORS, ros2d);
    assert_int_equal(fchmod(fd, 0700), 0);
    fclose(f);
    char *before = strdup(ros2d);
    setenv("ROS2D", script, 1);
    daemon_start(&d, NULL);
    setenv("ROS2D", before, 1);
    free(before);
}

static void all_open_files_leave_room_for_others(void **state)
{
    static struct ros2_file *file[FILES];
    char script[300];
    unsigned count = 0;
    (void)state;
    start_with_few(script, sizeof(script));
    pattern(data, sizeof(data), 1);
    store_write(&d, "f", data, sizeof(data));
    struct ros2_client *greedy = daemon_connect(&d);
    int rc = 0;
    while (count < FILES && (rc = ros2_open(greedy, "/f", O_RDONLY, 0, &file[count])) == 0)
        count++;
    assert_int_equal(rc, -EDQUOT);
    assert_non_null(strstr(ros2_error(), "RLIMIT_NOFILE"));
    assert_in_range(count, DESCRIPTORS / 4, DESCRIPTORS - 1);

    /* The others connect, and get to know that the files are all taken, not that the daemon is out of descriptors. */
    for (int i = 0; i < 10; i++) {
        struct ros2_client *other = daemon_connect(&d);
        struct ros2_file *one;
        assert_ok(ros2_ping(other, NULL));
        assert_error(ros2_open(other, "/f", O_RDONLY, 0, &one), EDQUOT);
        ros2_close(file[--count]);
        one = must_open(other, "/f", O_RDONLY);
        uint8_t buf[sizeof(data)];
        assert_int_equal(ros2_pread(one, buf, sizeof(buf), 0), sizeof(buf));
        assert_memory_equal(buf, data, sizeof(buf));
        ros2_close(one);
        ros2_disconnect(other);
        file[count] = must_open(greedy, "/f", O_RDONLY);
        count++;
    }
    while (count > 0)
        ros2_close(file[--count]);
    ros2_disconnect(greedy);
    daemon_stop(&d);
    unlink(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_open_files_leave_room_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
