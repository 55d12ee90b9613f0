/* SPDX-License-Identifier: Apache-2.0 */
/* What <ros2/file.h> promises, call by call, against a real daemon. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

static struct daemon *d;
static struct ros2_client *client;

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    client = daemon_connect(d);
    return 0;
}

static int teardown(void **state)
{
    ros2_disconnect(client);
    return daemon_group_teardown(state);
}

static void what_is_written_is_read_back_and_is_on_the_disk(void **state)
{
    (void)state;
    static uint8_t out[100000], in[100001];
    struct ros2_file *file = must_open(client, "/a", O_RDWR | O_CREAT);
    pattern(out, sizeof(out), 1);
    assert_int_equal(ros2_pwrite(file, out, sizeof(out), 0), sizeof(out));
    assert_int_equal(ros2_pread(file, in, sizeof(in), 0), sizeof(out));
    assert_memory_equal(in, out, sizeof(out));
    assert_ok(ros2_fsync(file));
    assert_ok(ros2_close(file));
    size_t len;
    void *stored = store_read(d, "a", &len);
    assert_int_equal(len, sizeof(out));
    assert_memory_equal(stored, out, sizeof(out));
    free(stored);
}

static void reads_end_at_the_end_of_file(void **state)
{
    (void)state;
    char buf[20];
    store_write(d, "ten", "0123456789", 10);
    struct ros2_file *file = must_open(client, "/ten", O_RDONLY);
    assert_int_equal(ros2_pread(file, buf, 20, 0), 10);
    assert_int_equal(ros2_pread(file, buf, 20, 7), 3);
    assert_int_equal(ros2_pread(file, buf, 20, 10), 0);
    assert_int_equal(ros2_pread(file, buf, 20, 1 << 30), 0);
    assert_int_equal(ros2_pread(file, buf, 0, 0), 0);
    assert_int_equal(ros2_pread(file, NULL, 0, 5), 0);
    ros2_close(file);
}

static void holes_read_as_zeros(void **state)
{
    (void)state;
    static uint8_t buf[300000];
    struct ros2_file *file = must_open(client, "/hole", O_RDWR | O_CREAT);
    assert_int_equal(ros2_pwrite(file, "x", 1, 299999), 1);
    memset(buf, 0xff, sizeof(buf));
    assert_int_equal(ros2_pread(file, buf, sizeof(buf), 0), 300000);
    for (size_t i = 0; i < 299999; i++)
        assert_int_equal(buf[i], 0);
    assert_int_equal(buf[299999], 'x');
    ros2_close(file);
}

static void the_files_offset_moves_with_reads_and_writes(void **state)
{
    (void)state;
    char buf[10];
    struct ros2_file *file = must_open(client, "/offset", O_RDWR | O_CREAT | O_TRUNC);
    assert_int_equal(ros2_write(file, "hello ", 6), 6);
    assert_int_equal(ros2_write(file, "world", 5), 5);
    assert_int_equal(ros2_lseek(file, 0, SEEK_CUR), 11);
    assert_int_equal(ros2_lseek(file, -5, SEEK_END), 6);
    assert_int_equal(ros2_read(file, buf, 3), 3);
    assert_memory_equal(buf, "wor", 3);
    assert_int_equal(ros2_read(file, buf, 10), 2);
    assert_int_equal(ros2_read(file, buf, 10), 0);
    assert_int_equal(ros2_pread(file, buf, 5, 0), 5); /* moves nothing */
    assert_int_equal(ros2_lseek(file, 0, SEEK_CUR), 11);
    assert_error(ros2_lseek(file, -1, SEEK_SET), EINVAL);
    assert_error(ros2_lseek(file, -12, SEEK_CUR), EINVAL);
    assert_error(ros2_lseek(file, 0, 99), EINVAL);
    assert_error(ros2_lseek(file, INT64_MAX, SEEK_CUR), EOVERFLOW);
    assert_int_equal(ros2_lseek(file, 0, SEEK_CUR), 11);
    assert_int_equal(ros2_lseek(file, 100, SEEK_SET), 100);
    assert_int_equal(ros2_read(file, buf, 10), 0);
    ros2_close(file);
}

static void append_writes_at_the_end_whatever_the_offset(void **state)
{
    (void)state;
    char buf[20];
    store_write(d, "append", "start", 5);
    struct ros2_file *file = must_open(client, "/append", O_RDWR | O_APPEND);
    assert_int_equal(ros2_write(file, "-one", 4), 4);
    assert_int_equal(ros2_lseek(file, 0, SEEK_CUR), 9);
    assert_int_equal(ros2_pwrite(file, "-two", 4, 0), 4);
    assert_int_equal(ros2_pread(file, buf, 20, 0), 13);
    assert_memory_equal(buf, "start-one-two", 13);
    ros2_close(file);
}

static void open_flags_do_what_posix_says(void **state)
{
    (void)state;
    struct ros2_file *file;
    struct stat st;
    store_write(d, "exists", "0123456789", 10);
    assert_error(ros2_open(client, "/missing", O_RDONLY, 0, &file), ENOENT);
    assert_error(ros2_open(client, "/exists", O_WRONLY | O_CREAT | O_EXCL, 0600, &file), EEXIST);
    assert_error(ros2_open(client, "/exists/below", O_RDONLY, 0, &file), ENOTDIR);
    assert_error(ros2_open(client, "/exists/", O_RDONLY, 0, &file), ENOTDIR);
    assert_error(ros2_open(client, "/exists", O_RDONLY | O_DIRECTORY, 0, &file), ENOTDIR);
    assert_error(ros2_open(client, "/", O_RDWR, 0, &file), EISDIR);
    assert_error(ros2_open(client, "/new/", O_WRONLY | O_CREAT, 0600, &file), EISDIR);
    assert_error(ros2_open(client, "relative", O_RDONLY, 0, &file), EINVAL);
    assert_error(ros2_open(client, "/exists", O_RDONLY | O_DIRECT, 0, &file), EINVAL);
    file = must_open(client, "/exists", O_WRONLY | O_TRUNC);
    assert_ok(ros2_fstat(file, &st));
    assert_int_equal(st.st_size, 0);
    ros2_close(file);
    assert_ok(ros2_open(client, "/mode", O_WRONLY | O_CREAT | O_EXCL, 0640, &file));
    assert_ok(ros2_fstat(file, &st));
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    ros2_close(file);
    assert_int_equal(symlink("exists", store_path(d, "link")), 0);
    assert_error(ros2_open(client, "/link", O_RDONLY | O_NOFOLLOW, 0, &file), ELOOP);
}

static void files_are_used_only_as_they_were_opened(void **state)
{
    (void)state;
    char buf[4] = "abc";
    store_write(d, "ro", "data", 4);
    struct ros2_file *file = must_open(client, "/ro", O_RDONLY);
    assert_error(ros2_pwrite(file, buf, 3, 0), EBADF);
    assert_error(ros2_write(file, buf, 3), EBADF);
    ros2_close(file);
    file = must_open(client, "/ro", O_WRONLY);
    assert_error(ros2_pread(file, buf, 3, 0), EBADF);
    ros2_close(file);
    file = must_open(client, "/", O_RDONLY | O_DIRECTORY);
    assert_error(ros2_pread(file, buf, 3, 0), EISDIR);
    assert_error(ros2_read(file, buf, 3), EISDIR);
    assert_ok(ros2_fsync(file));
    ros2_close(file);
}

static void ranges_out_of_bounds_are_refused(void **state)
{
    (void)state;
    char buf[8] = {0};
    struct ros2_file *file = must_open(client, "/bounds", O_RDWR | O_CREAT);
    assert_error(ros2_pread(file, buf, 8, (uint64_t)INT64_MAX - 7), EINVAL);
    assert_error(ros2_pread(file, buf, 8, UINT64_MAX), EINVAL);
    assert_error(ros2_pwrite(file, buf, 8, (uint64_t)INT64_MAX - 7), EINVAL);
    assert_error(ros2_pread(file, buf, (size_t)SSIZE_MAX + 1, 0), EINVAL);
    assert_error(ros2_pread(file, NULL, 8, 0), EFAULT);
    assert_int_equal(ros2_pread(file, buf, 8, (uint64_t)INT64_MAX - 8), 0);
    ros2_close(file);
}

static void errors_name_the_call_the_path_and_the_cause(void **state)
{
    (void)state;
    struct ros2_file *file;
    assert_error(ros2_open(client, "/no/such", O_RDONLY, 0, &file), ENOENT);
    assert_non_null(strstr(ros2_error(), "open /no/such: "));
    file = must_open(client, "/named", O_WRONLY | O_CREAT);
    char byte;
    assert_error(ros2_pread(file, &byte, 1, 0), EBADF);
    assert_string_equal(ros2_error(), "pread /named: it is not open for reading");
    ros2_close(file);
}

static void fstat_tells_what_the_file_is(void **state)
{
    (void)state;
    struct stat st, local;
    store_write(d, "stat", "12345", 5);
    struct ros2_file *file = must_open(client, "/stat", O_RDONLY);
    assert_ok(ros2_fstat(file, &st));
    assert_int_equal(stat(store_path(d, "stat"), &local), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(st.st_ino, local.st_ino);
    assert_int_equal(st.st_mode, local.st_mode);
    assert_int_equal(st.st_mtim.tv_sec, local.st_mtim.tv_sec);
    assert_int_equal(st.st_mtim.tv_nsec, local.st_mtim.tv_nsec);
    ros2_close(file);
}

static void an_unlinked_file_stays_open(void **state)
{
    (void)state;
    char buf[4];
    store_write(d, "gone", "data", 4);
    struct ros2_file *file = must_open(client, "/gone", O_RDONLY);
    assert_ok(ros2_unlink(client, "/gone"));
    assert_int_equal(ros2_pread(file, buf, 4, 0), 4);
    ros2_close(file);
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    assert_int_equal(ros2_close(NULL), 0);
    ros2_disconnect(NULL);
    ros2_closedir(NULL);
}

static void ping_gives_a_round_trip(void **state)
{
    (void)state;
    uint64_t ns = 0;
    assert_ok(ros2_ping(client, &ns));
    assert_in_range(ns, 1, 10000000000ull);
    assert_ok(ros2_ping(client, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back_and_is_on_the_disk),
        cmocka_unit_test(reads_end_at_the_end_of_file),
        cmocka_unit_test(holes_read_as_zeros),
        cmocka_unit_test(the_files_offset_moves_with_reads_and_writes),
        cmocka_unit_test(append_writes_at_the_end_whatever_the_offset),
        cmocka_unit_test(open_flags_do_what_posix_says),
        cmocka_unit_test(files_are_used_only_as_they_were_opened),
        cmocka_unit_test(ranges_out_of_bounds_are_refused),
        cmocka_unit_test(errors_name_the_call_the_path_and_the_cause),
        cmocka_unit_test(fstat_tells_what_the_file_is),
        cmocka_unit_test(an_unlinked_file_stays_open),
        cmocka_unit_test(closing_nothing_is_fine),
        cmocka_unit_test(ping_gives_a_round_trip),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
