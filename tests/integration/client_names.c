/* SPDX-License-Identifier: Apache-2.0 */
/* What <ros2/namespace.h> promises, call by call, against a real daemon. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
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

static void stat_follows_and_resolves(void **state)
{
    (void)state;
    struct stat st;
    store_write(d, "file", "12345", 5);
    assert_int_equal(symlink("file", store_path(d, "link")), 0);
    assert_ok(ros2_stat(client, "/file", &st));
    assert_true(S_ISREG(st.st_mode) && st.st_size == 5);
    assert_ok(ros2_stat(client, "/link", &st));
    assert_true(S_ISREG(st.st_mode) && st.st_size == 5);
    assert_ok(ros2_stat(client, "/nowhere/..//./file", &st));
    assert_ok(ros2_stat(client, "/", &st));
    assert_true(S_ISDIR(st.st_mode));
    assert_ok(ros2_stat(client, "/../..", &st));
    assert_error(ros2_stat(client, "/file/", &st), ENOTDIR);
    assert_error(ros2_stat(client, "/missing", &st), ENOENT);
    assert_error(ros2_stat(client, "file", &st), EINVAL);
    assert_error(ros2_stat(client, "", &st), ENOENT);
    assert_error(ros2_stat(client, NULL, &st), EINVAL);
    char name[400] = "/";
    memset(name + 1, 'n', 256);
    assert_error(ros2_stat(client, name, &st), ENAMETOOLONG);
}

static void directories_are_made_and_removed(void **state)
{
    (void)state;
    struct stat st;
    assert_ok(ros2_mkdir(client, "/dir", 0750));
    assert_ok(ros2_stat(client, "/dir", &st));
    assert_int_equal(st.st_mode, S_IFDIR | 0750);
    assert_error(ros2_mkdir(client, "/dir", 0750), EEXIST);
    assert_error(ros2_mkdir(client, "/x/y", 0750), ENOENT);
    assert_ok(ros2_mkdir(client, "/dir/sub/", 0700));
    assert_error(ros2_rmdir(client, "/dir"), ENOTEMPTY);
    assert_error(ros2_unlink(client, "/dir"), EISDIR);
    assert_error(ros2_unlink(client, "/dir/"), EISDIR);
    assert_ok(ros2_rmdir(client, "/dir/sub"));
    assert_ok(ros2_rmdir(client, "/dir"));
    assert_error(ros2_rmdir(client, "/dir"), ENOENT);
    assert_error(ros2_rmdir(client, "/"), EBUSY);
}

static void unlink_removes_a_name(void **state)
{
    (void)state;
    struct stat st;
    store_write(d, "u", "", 0);
    assert_ok(ros2_unlink(client, "/u"));
    assert_error(ros2_stat(client, "/u", &st), ENOENT);
    assert_error(ros2_unlink(client, "/u"), ENOENT);
    store_write(d, "u", "", 0);
    assert_error(ros2_rmdir(client, "/u"), ENOTDIR);
}

static void rename_replaces(void **state)
{
    (void)state;
    size_t len;
    store_write(d, "from", "new", 3);
    store_write(d, "to", "older", 5);
    assert_ok(ros2_rename(client, "/from", "/to"));
    char *stored = store_read(d, "to", &len);
    assert_true(len == 3 && memcmp(stored, "new", 3) == 0);
    free(stored);
    assert_error(ros2_rename(client, "/from", "/to"), ENOENT);
    assert_ok(ros2_mkdir(client, "/rd", 0755));
    assert_ok(ros2_mkdir(client, "/rd/in", 0755));
    assert_error(ros2_rename(client, "/rd", "/rd/in/x"), EINVAL);
    assert_error(ros2_rename(client, "/to", "/rd"), EISDIR);
}

static void a_slash_at_the_end_asks_for_a_directory(void **state)
{
    (void)state;
    struct stat st;
    store_write(d, "plain-file", "x", 1);
    assert_error(ros2_rename(client, "/plain-file/", "/renamed"), ENOTDIR);
    assert_error(ros2_rename(client, "/plain-file", "/renamed/"), ENOTDIR);
    assert_error(ros2_rename(client, "/plain-file/.", "/renamed"), ENOTDIR);
    assert_error(ros2_publish(client, "/plain-file/", "/renamed"), ENOTDIR);
    assert_error(ros2_publish(client, "/plain-file", "/renamed/"), ENOTDIR);
    assert_error(ros2_stat(client, "/renamed", &st), ENOENT);
    assert_ok(ros2_stat(client, "/plain-file", &st));
    assert_ok(ros2_mkdir(client, "/slashed", 0755));
    /* As with rename(), the last name is not followed. */
    assert_int_equal(symlink("slashed", store_path(d, "to-slashed")), 0);
    assert_error(ros2_rename(client, "/to-slashed/", "/renamed"), ENOTDIR);
    assert_ok(ros2_rename(client, "/slashed/", "/renamed/"));
    assert_ok(ros2_stat(client, "/renamed/", &st));
    assert_error(ros2_rename(client, "/slashed/", "/renamed"), ENOENT);
}

static void publish_makes_a_finished_file_visible(void **state)
{
    (void)state;
    size_t len;
    assert_ok(ros2_mkdir(client, "/ckpt", 0755));
    struct ros2_file *file = must_open(client, "/ckpt/.tmp", O_WRONLY | O_CREAT | O_EXCL);
    assert_int_equal(ros2_write(file, "weights", 7), 7);
    ros2_close(file);
    assert_ok(ros2_publish(client, "/ckpt/.tmp", "/ckpt/final"));
    char *stored = store_read(d, "ckpt/final", &len);
    assert_true(len == 7 && memcmp(stored, "weights", 7) == 0);
    free(stored);
    assert_int_equal(access(store_path(d, "ckpt/.tmp"), F_OK), -1);
    assert_ok(ros2_publish(client, "/ckpt/final", "/ckpt/final"));
    assert_error(ros2_publish(client, "/ckpt/.tmp", "/ckpt/final"), ENOENT);
    assert_non_null(strstr(ros2_error(), "publish /ckpt/.tmp as /ckpt/final"));
    store_write(d, "root-level", "x", 1);
    assert_ok(ros2_publish(client, "/root-level", "/published"));
}

static void readdir_gives_every_name_once(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static uint8_t seen[COUNT];
    char name[80];
    struct ros2_dir *dir;
    struct ros2_dirent entry;
    mkdir(store_path(d, "many"), 0755);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "many/name-of-some-length-so-that-pages-fill-%d", i);
        store_write(d, name, "", 0);
    }
    assert_ok(ros2_opendir(client, "/many", &dir));
    int rc, count = 0;
    while ((rc = ros2_readdir(dir, &entry)) == 1) {
        int i = atoi(strrchr(entry.name, '-') + 1);
        assert_in_range(i, 0, COUNT - 1);
        assert_int_equal(seen[i]++, 0);
        count++;
    }
    assert_ok(rc);
    assert_int_equal(count, COUNT);
    assert_int_equal(ros2_readdir(dir, &entry), 0); /* stays at the end */
    ros2_closedir(dir);
}

static void readdir_of_an_empty_directory_ends_at_once(void **state)
{
    (void)state;
    struct ros2_dir *dir;
    struct ros2_dirent entry;
    mkdir(store_path(d, "empty"), 0755);
    assert_ok(ros2_opendir(client, "/empty", &dir));
    assert_int_equal(ros2_readdir(dir, &entry), 0);
    ros2_closedir(dir);
    assert_error(ros2_opendir(client, "/nothing", &dir), ENOENT);
    store_write(d, "plain", "", 0);
    assert_error(ros2_opendir(client, "/plain", &dir), ENOTDIR);
}

static void names_are_bytes(void **state)
{
    (void)state;
    struct ros2_dir *dir;
    struct ros2_dirent entry;
    const char *name = "/bytes/\xff\xfe \n\xc3\xa9";
    assert_ok(ros2_mkdir(client, "/bytes", 0755));
    ros2_close(must_open(client, name, O_WRONLY | O_CREAT));
    assert_ok(ros2_opendir(client, "/bytes", &dir));
    assert_int_equal(ros2_readdir(dir, &entry), 1);
    assert_string_equal(entry.name, name + strlen("/bytes/"));
    ros2_closedir(dir);
    assert_ok(ros2_unlink(client, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_follows_and_resolves),
        cmocka_unit_test(directories_are_made_and_removed),
        cmocka_unit_test(unlink_removes_a_name),
        cmocka_unit_test(rename_replaces),
        cmocka_unit_test(a_slash_at_the_end_asks_for_a_directory),
        cmocka_unit_test(publish_makes_a_finished_file_visible),
        cmocka_unit_test(readdir_gives_every_name_once),
        cmocka_unit_test(readdir_of_an_empty_directory_ends_at_once),
        cmocka_unit_test(names_are_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
