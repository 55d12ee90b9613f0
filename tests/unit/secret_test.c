/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: compared whole, wiped, read only from files that others cannot read. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/secret.h"

struct folder {
    char path[256], file[300], link[300];
};

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");

    snprintf(f->path, sizeof f->path, "%.200s/ros2-secret.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->path))
        return -1;
    snprintf(f->file, sizeof f->file, "%s/token", f->path);
    snprintf(f->link, sizeof f->link, "%s/link", f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;

    unlink(f->file);
    unlink(f->link);
    rmdir(f->path);
    free(f);
    return 0;
}

static void write_file(const struct folder *f, const void *bytes, size_t len, mode_t mode)
{
    FILE *stream = fopen(f->file, "w");

    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, len, stream), len);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(f->file, mode), 0);
}

static void equal_looks_at_every_byte(void **state)
{
    uint8_t a[32], b[32];

    (void)state;
    memset(a, 7, sizeof a);
    memcpy(b, a, sizeof a);
    assert_true(ros2i_secret_equal(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        for (int bit = 0; bit < 8; bit++) {
            b[i] ^= (uint8_t)(1 << bit);
            assert_false(ros2i_secret_equal(a, b, sizeof a));
            b[i] ^= (uint8_t)(1 << bit);
        }
    }
    assert_true(ros2i_secret_equal(a, b, 0));
}

static void wipe_leaves_zeroes(void **state)
{
    uint8_t a[40], zero[32] = {0};

    (void)state;
    memset(a, 0xee, sizeof a);
    ros2i_wipe(a, 32);
    assert_memory_equal(a, zero, 32);
    assert_int_equal(a[32], 0xee);
    ros2i_wipe(NULL, 0);
}

static void the_first_line_is_the_secret(void **state)
{
    static const struct {
        const char *content, *secret;
    } cases[] = {{"abc", "abc"},
                 {"abc\n", "abc"},
                 {"abc\nsecond\n", "abc"},
                 {"with space \n", "with space "},
                 {"exactly-16-bytes\n", "exactly-16-bytes"},
                 {"exactly-16-bytes", "exactly-16-bytes"}};
    char *secret = NULL;

    for (size_t i = 0; i < COUNT(cases); i++) {
        write_file(*state, cases[i].content, strlen(cases[i].content), 0600);
        assert_int_equal(
            ros2i_secret_read_file(((struct folder *)*state)->file, "token", 16, &secret), 0);
        assert_string_equal(secret, cases[i].secret);
        ros2i_secret_free(secret);
    }
    ros2i_secret_free(NULL);
}

static void refuse(struct folder *f, const char *path, int err, const char *part)
{
    char untouched[] = "untouched", *secret = untouched;

    assert_int_equal(ros2i_secret_read_file(path, "token", 16, &secret), -err);
    assert_ptr_equal(secret, untouched);
    assert_text_has(ros2i_error(), part);
    assert_text_has(ros2i_error(), path);
    assert_null(strstr(ros2i_error(), "hunter2")); /* no secret in a text */
    (void)f;
}

static void empty_long_and_binary_lines_are_refused(void **state)
{
    struct folder *f = *state;

    write_file(f, "", 0, 0600);
    refuse(f, f->file, EINVAL, "empty");
    write_file(f, "\nhunter2\n", 9, 0600);
    refuse(f, f->file, EINVAL, "empty");
    write_file(f, "hunter2-hunter2-x", 17, 0600);
    refuse(f, f->file, EINVAL, "longer than 16");
    write_file(f, "hunter2\0x\n", 10, 0600);
    refuse(f, f->file, EINVAL, "NUL");
}

static void a_file_that_others_can_reach_is_refused_with_the_way_out(void **state)
{
    static const mode_t open_modes[] = {0604, 0602, 0601, 0644, 0666};
    struct folder *f = *state;
    char *secret, way_out[400];

    snprintf(way_out, sizeof way_out, "chmod 600 %s", f->file);
    for (size_t i = 0; i < COUNT(open_modes); i++) {
        write_file(f, "hunter2\n", 8, open_modes[i]);
        refuse(f, f->file, EACCES, way_out);
    }
    assert_text_has(ros2i_error(), "0666");
    write_file(f, "hunter2\n", 8, 0640); /* a service's group may read it */
    assert_int_equal(ros2i_secret_read_file(f->file, "token", 16, &secret), 0);
    ros2i_secret_free(secret);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    struct folder *f = *state;

    refuse(f, f->file, ENOENT, "No such file");
    refuse(f, f->path, EINVAL, "not a regular file");
    assert_int_equal(mkfifo(f->file, 0600), 0);
    refuse(f, f->file, EINVAL, "not a regular file");
}

static void a_link_to_a_secret_is_followed(void **state)
{
    struct folder *f = *state;
    char *secret;

    write_file(f, "hunter2\n", 8, 0600);
    assert_int_equal(symlink("token", f->link), 0);
    assert_int_equal(ros2i_secret_read_file(f->link, "token", 16, &secret), 0);
    assert_string_equal(secret, "hunter2");
    ros2i_secret_free(secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_looks_at_every_byte),
        cmocka_unit_test(wipe_leaves_zeroes),
        cmocka_unit_test_setup_teardown(the_first_line_is_the_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_long_and_binary_lines_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_others_can_reach_is_refused_with_the_way_out,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_regular_file_is_refused_without_waiting, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_link_to_a_secret_is_followed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
