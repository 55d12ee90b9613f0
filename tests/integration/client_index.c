/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of whole data sets, and the index that processes of one host share. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define DIRS  3
#define FILES 700 /* of each: more than a page of a listing */

static struct daemon *d;
static struct ros2_client *client;
static char place[300]; /* of the indexes */
static struct ros2_index_options options = {.size = sizeof(options), .dir = place};

static int setup(void **state)
{
    char name[64];

    daemon_group_setup(state);
    d = *state;
    snprintf(place, sizeof(place), "%s/indexes", d->dir);
    assert_int_equal(mkdir(place, 0700), 0);
    mkdir(store_path(d, "set"), 0755);
    for (int dir = 0; dir < DIRS; dir++) {
        snprintf(name, sizeof(name), "set/d%d", dir);
        mkdir(store_path(d, name), 0755);
        for (int i = 0; i < FILES; i++) {
            snprintf(name, sizeof(name), "set/d%d/f%d", dir, i);
            store_write(d, name, place, (size_t)(i % 50));
        }
    }
    store_write(d, "set/top", place, 7);
    assert_int_equal(symlink("top", store_path(d, "set/link")), 0);
    client = daemon_connect(d);
    return 0;
}

static int teardown(void **state)
{
    char command[400];

    ros2_disconnect(client);
    snprintf(command, sizeof(command), "rm -rf '%s'", place);
    assert_int_equal(system(command), 0);
    return daemon_group_teardown(state);
}

/* -- listings -- */

struct seen {
    int files, directories, links, stop_at;
    uint64_t bytes;
    bool in_order;
};

static int note(void *arg, const char *path, const struct stat *st)
{
    struct seen *seen = arg;

    assert_true(path[0] != '/' && path[0] != '\0');
    seen->files += S_ISREG(st->st_mode);
    seen->directories += S_ISDIR(st->st_mode);
    seen->links += S_ISLNK(st->st_mode);
    if (S_ISREG(st->st_mode))
        seen->bytes += (uint64_t)st->st_size;
    return seen->stop_at && seen->files == seen->stop_at;
}

static void a_listing_gives_each_entry_once_with_its_attributes(void **state)
{
    struct seen flat = {0}, deep = {0};
    uint64_t bytes = 7;

    (void)state;
    for (int i = 0; i < FILES; i++)
        bytes += (uint64_t)DIRS * (uint64_t)(i % 50);
    assert_int_equal(ros2_list_with_attributes(client, "/set", 0, note, &flat), DIRS + 2);
    assert_int_equal(flat.files, 1);
    assert_int_equal(flat.directories, DIRS);
    assert_int_equal(flat.links, 1);
    assert_int_equal(ros2_list_with_attributes(client, "/set/", ROS2_LIST_RECURSIVE, note, &deep),
                     DIRS * FILES + DIRS + 2);
    assert_int_equal(deep.files, DIRS * FILES + 1);
    assert_int_equal(deep.bytes, bytes);
    memset(&deep, 0, sizeof(deep));
    assert_ok(ros2_list_with_attributes(client, "/", ROS2_LIST_RECURSIVE, note, &deep));
    assert_int_equal(deep.files, DIRS * FILES + 1);
}

static void a_listing_ends_when_its_function_says_so(void **state)
{
    struct seen seen = {.stop_at = 5};

    (void)state;
    assert_ok(ros2_list_with_attributes(client, "/set", ROS2_LIST_RECURSIVE, note, &seen));
    assert_int_equal(seen.files, 5);
}

static void what_cannot_be_listed_is_said(void **state)
{
    struct seen seen = {0};

    (void)state;
    assert_error(ros2_list_with_attributes(client, "/none", 0, note, &seen), ENOENT);
    assert_error(ros2_list_with_attributes(client, "/set/top", 0, note, &seen), ENOTDIR);
    assert_error(ros2_list_with_attributes(client, "set", 0, note, &seen), EINVAL);
    assert_error(ros2_list_with_attributes(client, "/set", 0x80, note, &seen), EINVAL);
    assert_error(ros2_list_with_attributes(client, "/set", 0, NULL, &seen), EINVAL);
}

/* -- the index -- */

static struct ros2_index *must_index(void)
{
    struct ros2_index *index = NULL;

    assert_ok(ros2_index_open(client, "/set", &options, &index));
    return index;
}

static void an_index_has_every_file_in_order(void **state)
{
    struct ros2_index *index = must_index();
    struct ros2_index_entry entry, before = {.path = ""};

    (void)state;
    assert_int_equal(ros2_index_count(index), DIRS * FILES + 1);
    for (uint64_t i = 0; i < ros2_index_count(index); i++, before = entry) {
        assert_ok(ros2_index_get(index, i, &entry));
        assert_true(strcmp(before.path, entry.path) < 0);
        assert_int_equal(ros2_index_find(index, entry.path), i);
        assert_true(entry.mtime_ns > 0);
    }
    int64_t at = ros2_index_find(index, "d1/f123");
    assert_ok(at);
    assert_ok(ros2_index_get(index, (uint64_t)at, &entry));
    assert_int_equal(entry.size, 123 % 50);
    assert_error(ros2_index_get(index, DIRS * FILES + 1, &entry), ERANGE);
    assert_error(ros2_index_find(index, "d1/f"), ENOENT);
    assert_error(ros2_index_find(index, "link"), ENOENT);
    ros2_index_close(index);
    ros2_index_close(NULL);
}

/* The only file in place that is an index. */
static const char *index_file(void)
{
    static char path[700];
    char command[400], name[300];

    snprintf(command, sizeof(command), "ls '%s' | grep -v '\\.'", place);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(name, sizeof(name), pipe));
    pclose(pipe);
    name[strcspn(name, "\n")] = '\0';
    snprintf(path, sizeof(path), "%s/%s", place, name);
    return path;
}

static ino_t inode(void)
{
    struct stat st;

    assert_int_equal(stat(index_file(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    return st.st_ino;
}

static void processes_share_one_that_the_first_has_made(void **state)
{
    struct ros2_index *index = must_index();
    ino_t first = inode();
    pid_t child[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            struct ros2_index *own;
            bool good = ros2_index_count(index) == DIRS * FILES + 1 &&
                        ros2_index_open(client, "/set", &options, &own) == 0 &&
                        ros2_index_count(own) == DIRS * FILES + 1;
            _exit(good ? 0 : 1);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status = -1;
        waitpid(child[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(inode(), first);
    ros2_index_close(index);
}

static void it_is_made_anew_when_it_should_be(void **state)
{
    struct ros2_index *index = must_index();
    ino_t first = inode(), second;

    (void)state;
    options.flags = ROS2_INDEX_REFRESH;
    struct ros2_index *fresh = must_index();
    options.flags = 0;
    second = inode();
    assert_true(second != first);
    assert_int_equal(ros2_index_count(index), ros2_index_count(fresh)); /* the old one lives on */
    ros2_index_close(fresh);
    /* The directory changes. */
    store_write(d, "set/second", place, 3);
    fresh = must_index();
    assert_int_equal(ros2_index_count(fresh), DIRS * FILES + 2);
    ros2_index_close(fresh);
    assert_int_equal(unlink(store_path(d, "set/second")), 0);
    fresh = must_index();
    assert_int_equal(ros2_index_count(fresh), DIRS * FILES + 1);
    ros2_index_close(fresh);
    /* It is too old. */
    first = inode();
    options.max_age_ns = 1;
    struct ros2_index *none = NULL;
    int rc = ros2_index_open(client, "/set", &options, &none);
    options.max_age_ns = 0;
    if (rc == 0)
        ros2_index_close(none);
    assert_true(inode() != first);
    ros2_index_close(index);
}

/* Cut short at many places, and with each of some hundred bytes changed. */
static void a_damaged_one_is_made_anew(void **state)
{
    struct ros2_index *index = must_index();
    struct stat st;

    (void)state;
    ros2_index_close(index);
    for (int round = 0; round < 60; round++) {
        const char *path = index_file();
        assert_int_equal(stat(path, &st), 0);
        int fd = open(path, O_RDWR);
        if (round % 2 == 0) {
            assert_int_equal(ftruncate(fd, st.st_size * round / 60), 0);
        } else {
            uint8_t byte;
            off_t at = round < 30 ? round : st.st_size * round / 61;
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            byte ^= 0x41;
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        close(fd);
        index = must_index();
        assert_int_equal(ros2_index_count(index), DIRS * FILES + 1);
        assert_ok(ros2_index_find(index, "d2/f699"));
        ros2_index_close(index);
    }
}

static void one_that_was_killed_in_the_making_is_no_obstacle(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int ready[2];
        char byte;
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
            options.flags = ROS2_INDEX_REFRESH;
            if (write(ready[1], "x", 1) != 1)
                _exit(1);
            for (;;) {
                struct ros2_index *index;
                if (ros2_index_open(client, "/set", &options, &index) == 0)
                    ros2_index_close(index);
            }
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        usleep((useconds_t)(1000 * (round + 1))); /* somewhere in the middle of one */
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ready[0]);
        close(ready[1]);
        struct ros2_index *index = must_index();
        assert_int_equal(ros2_index_count(index), DIRS * FILES + 1);
        ros2_index_close(index);
    }
}

static void a_directory_that_others_can_write_to_is_refused(void **state)
{
    struct ros2_index *index = NULL;

    (void)state;
    assert_int_equal(chmod(place, 0777), 0);
    assert_error(ros2_index_open(client, "/set", &options, &index), EACCES);
    assert_int_equal(chmod(place, 0700), 0);
    options.size = 3;
    assert_error(ros2_index_open(client, "/set", &options, &index), EINVAL);
    options.size = sizeof(options);
    assert_error(ros2_index_open(client, "/set/top", &options, &index), ENOTDIR);
    assert_error(ros2_index_open(client, "/none", &options, &index), ENOENT);
    assert_null(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_gives_each_entry_once_with_its_attributes),
        cmocka_unit_test(a_listing_ends_when_its_function_says_so),
        cmocka_unit_test(what_cannot_be_listed_is_said),
        cmocka_unit_test(an_index_has_every_file_in_order),
        cmocka_unit_test(processes_share_one_that_the_first_has_made),
        cmocka_unit_test(it_is_made_anew_when_it_should_be),
        cmocka_unit_test(a_damaged_one_is_made_anew),
        cmocka_unit_test(one_that_was_killed_in_the_making_is_no_obstacle),
        cmocka_unit_test(a_directory_that_others_can_write_to_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
