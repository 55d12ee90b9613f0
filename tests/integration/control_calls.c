/* SPDX-License-Identifier: Apache-2.0 */
/* Every control call against a real ros2d: what it does, and what its errors say. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/control_world.h"

static struct daemon ros2d;

static int start(void **state)
{
    (void)state;
    return daemon_prepare(&ros2d) < 0 ? -1 : daemon_start(&ros2d);
}

static int stop(void **state)
{
    (void)state;
    int status = daemon_stop(&ros2d);
    daemon_free(&ros2d);
    return status;
}

static int connect_one(void **state)
{
    *state = world_connect(&ros2d);
    return 0;
}

static int disconnect_one(void **state)
{
    ros2i_control_close_session(*state, world_deadline());
    ros2i_control_destroy(*state);
    return 0;
}

static void make_file(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "store/%s", name);
    assert_int_equal(daemon_write_file(&ros2d, path, 0644, text), 0);
}

static int exists(const char *name)
{
    char path[256];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", ros2d.store, name);
    return lstat(path, &st) == 0;
}

static struct ros2i_open_item open_one(struct ros2i_control *control, const char *path,
                                       unsigned flags)
{
    struct ros2i_open_item item = {.path = path, .open_flags = flags, .mode = 0644, .err = 1};

    world_assert_ok(ros2i_control_open_many(control, &item, 1, world_deadline()));
    return item;
}

/* --- sessions -------------------------------------------------------------------------------------------- */

static void session_has_what_the_data_plane_needs(void **state)
{
    struct ros2i_control_options options = world_options(&ros2d);
    struct ros2i_control *control;
    struct ros2i_session session;

    (void)state;
    world_assert_ok(ros2i_control_create(&options, &control));
    world_assert_ok(ros2i_control_open_session(control, world_nonce, world_deadline(), &session));
    assert_int_equal(session.endpoint_count, 2); /* as --ephemeral prefers them */
    assert_string_equal(session.endpoint[0].transport, "shm");
    assert_string_equal(session.endpoint[1].transport, "tcp");
    assert_string_equal(session.tenant, "default");
    assert_true(session.credits > 0 && session.max_io >= 4096 && session.lifetime_ns > 0);
    world_assert_ok(ros2i_control_attach(control, world_nonce, world_deadline()));
    world_assert_ok(ros2i_control_renew(control, world_deadline()));
    world_assert_ok(ros2i_control_close_session(control, world_deadline()));
    world_assert_failed(ros2i_control_renew(control, world_deadline()), ENOKEY, "connect again");
    ros2i_control_destroy(control);
}

static void two_sessions_have_different_secrets(void **state)
{
    struct ros2i_control_options options = world_options(&ros2d);
    struct ros2i_control *control;
    struct ros2i_session a, b;

    (void)state;
    world_assert_ok(ros2i_control_create(&options, &control));
    world_assert_ok(ros2i_control_open_session(control, world_nonce, world_deadline(), &a));
    world_assert_ok(ros2i_control_open_session(control, world_nonce, world_deadline(), &b));
    assert_memory_not_equal(a.id, b.id, sizeof a.id);
    assert_memory_not_equal(a.secret, b.secret, sizeof a.secret);
    ros2i_control_destroy(control);
}

static void health_says_serving(void **state)
{
    world_assert_ok(ros2i_control_health(*state, world_deadline()));
}

/* --- files ----------------------------------------------------------------------------------------------- */

static void open_creates_and_stat_sees_it(void **state)
{
    struct ros2_attr attr;
    struct ros2i_open_item item =
        open_one(*state, "/new", ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE);

    assert_int_equal(item.err, 0);
    assert_int_equal(item.capability.rights, ROS2I_RIGHT_READ | ROS2I_RIGHT_WRITE);
    assert_true(S_ISREG(item.attr.mode));
    assert_true(exists("new"));
    world_assert_ok(ros2i_control_stat(*state, "/new", false, world_deadline(), &attr));
    assert_int_equal(attr.ino, item.attr.ino);
    world_assert_ok(ros2i_control_fstat(*state, item.capability.handle, world_deadline(), &attr));
    assert_int_equal(attr.ino, item.attr.ino);
    int err = 1;
    world_assert_ok(
        ros2i_control_close_many(*state, &item.capability.handle, 1, &err, world_deadline()));
    assert_int_equal(err, 0);
    world_assert_ok(
        ros2i_control_close_many(*state, &item.capability.handle, 1, &err, world_deadline()));
    assert_int_equal(err, -EBADF);
    world_assert_failed(
        ros2i_control_fstat(*state, item.capability.handle, world_deadline(), &attr), EBADF,
        "handle");
}

static void each_item_of_open_many_has_its_own_result(void **state)
{
    struct ros2i_open_item item[3] = {
        {.path = "/there", .open_flags = ROS2_OPEN_READ},
        {.path = "/not there", .open_flags = ROS2_OPEN_READ},
        {.path = "/there", .open_flags = ROS2_OPEN_READ | ROS2_OPEN_DIRECTORY},
    };

    make_file("there", "12345");
    world_assert_ok(ros2i_control_open_many(*state, item, 3, world_deadline()));
    assert_int_equal(item[0].err, 0);
    assert_int_equal(item[0].attr.size, 5);
    assert_int_equal(item[1].err, -ENOENT);
    assert_non_null(strstr(item[1].error_text, "not there"));
    assert_int_equal(item[2].err, -ENOTDIR);
}

static void four_thousand_files_open_in_one_call(void **state)
{
    const size_t count = 4096;
    struct ros2i_open_item *item = calloc(count, sizeof *item);
    uint64_t *handle = calloc(count, sizeof *handle);
    int *err = calloc(count, sizeof *err);
    char path[1000];

    /* Paths that together are longer than one message may be. */
    memset(path, '/', sizeof path);
    strcpy(path + sizeof path - 6, "many");
    make_file("many", "x");
    for (size_t i = 0; i < count; i++)
        item[i] = (struct ros2i_open_item){.path = path, .open_flags = ROS2_OPEN_READ};
    world_assert_ok(ros2i_control_open_many(*state, item, count, world_deadline()));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(item[i].err, 0);
        handle[i] = item[i].capability.handle;
    }
    world_assert_ok(ros2i_control_close_many(*state, handle, count, err, world_deadline()));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(err[i], 0);
    world_assert_failed(ros2i_control_open_many(*state, item, count + 1, world_deadline()), EINVAL,
                        "4096");
    free(err);
    free(handle);
    free(item);
}

static void names_change_as_asked(void **state)
{
    struct ros2_attr attr;

    world_assert_ok(ros2i_control_mkdir(*state, "/dir", 0755, world_deadline()));
    assert_true(exists("dir"));
    world_assert_failed(ros2i_control_mkdir(*state, "/dir", 0755, world_deadline()), EEXIST, "dir");
    make_file("dir/a", "a");
    world_assert_ok(ros2i_control_rename(*state, "/dir/a", "/dir/b", world_deadline()));
    assert_true(!exists("dir/a") && exists("dir/b"));
    world_assert_failed(ros2i_control_unlink(*state, "/dir", true, world_deadline()), ENOTEMPTY,
                        "dir");
    world_assert_failed(ros2i_control_unlink(*state, "/dir", false, world_deadline()), EISDIR,
                        "dir");
    world_assert_ok(ros2i_control_unlink(*state, "/dir/b", false, world_deadline()));
    world_assert_ok(ros2i_control_unlink(*state, "/dir", true, world_deadline()));
    world_assert_failed(ros2i_control_stat(*state, "/dir", false, world_deadline(), &attr), ENOENT,
                        "dir");
    world_assert_failed(ros2i_control_rename(*state, "/gone", "/x", world_deadline()), ENOENT,
                        "gone");
}

static void bad_paths_are_refused_before_the_engine(void **state)
{
    struct ros2_attr attr;
    char *path = malloc(5000);

    world_assert_failed(ros2i_control_stat(*state, "relative", false, world_deadline(), &attr),
                        EINVAL, "absolute");
    world_assert_failed(ros2i_control_stat(*state, "", false, world_deadline(), &attr), EINVAL,
                        "absolute");
    world_assert_failed(ros2i_control_stat(*state, "/a/../b", false, world_deadline(), &attr),
                        EINVAL, "..");
    world_assert_failed(ros2i_control_stat(*state, "/./b", false, world_deadline(), &attr), EINVAL,
                        "..");
    memset(path, 'x', 4999);
    path[0] = '/';
    path[4999] = '\0';
    world_assert_failed(ros2i_control_stat(*state, path, false, world_deadline(), &attr),
                        ENAMETOOLONG, "4095");
    path[300] = '\0';
    world_assert_failed(ros2i_control_mkdir(*state, path, 0755, world_deadline()), ENAMETOOLONG,
                        "255");
    world_assert_failed(ros2i_control_unlink(*state, "/", true, world_deadline()), EBUSY, "root");
    world_assert_failed(ros2i_control_mkdir(*state, "/m", 010755, world_deadline()), EINVAL,
                        "07777");
    world_assert_ok(ros2i_control_stat(*state, "///", false, world_deadline(), &attr));
    assert_true(S_ISDIR(attr.mode));
    struct ros2i_open_item item = open_one(*state, "/f", 1u << 20 | ROS2_OPEN_READ);
    assert_int_equal(item.err, -EINVAL);
    item = open_one(*state, "/f", ROS2_OPEN_CREATE);
    assert_int_equal(item.err, -EINVAL);
    assert_false(exists("f"));
    free(path);
}

static void handles_of_another_session_are_unknown(void **state)
{
    struct ros2i_control *other = world_connect(&ros2d);
    struct ros2_attr attr;
    int err;

    make_file("mine", "");
    struct ros2i_open_item item = open_one(*state, "/mine", ROS2_OPEN_READ);
    world_assert_failed(ros2i_control_fstat(other, item.capability.handle, world_deadline(), &attr),
                        EBADF, "handle");
    world_assert_ok(
        ros2i_control_close_many(other, &item.capability.handle, 1, &err, world_deadline()));
    assert_int_equal(err, -EBADF);
    world_assert_ok(ros2i_control_fstat(*state, item.capability.handle, world_deadline(), &attr));
    ros2i_control_destroy(other);
}

/* --- list ------------------------------------------------------------------------------------------------ */

struct listing {
    unsigned char *seen;
    size_t count, stop_at;
    uint64_t last_cookie;
    size_t with_attributes;
};

static int take_entry(void *arg, const char *name, size_t name_len, const struct ros2_attr *attr,
                      uint64_t cookie)
{
    struct listing *listing = arg;

    assert_int_equal(strlen(name), name_len);
    int n = atoi(name + 1);
    assert_in_range(n, 0, 9999);
    listing->seen[n]++;
    listing->last_cookie = cookie;
    listing->with_attributes += attr && S_ISREG(attr->mode);
    return ++listing->count == listing->stop_at;
}

static void list_gives_ten_thousand_names_once(void **state)
{
    struct listing listing = {.seen = calloc(10000, 1)};
    bool end = false;

    world_assert_ok(ros2i_control_mkdir(*state, "/big", 0755, world_deadline()));
    for (int i = 0; i < 10000; i++) {
        char path[200];

        snprintf(path, sizeof path, "%s/big/f%04d", ros2d.store, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        close(fd);
    }
    world_assert_ok(
        ros2i_control_list(*state, "/big", 0, true, take_entry, &listing, world_deadline(), &end));
    assert_true(end);
    assert_int_equal(listing.count, 10000);
    assert_int_equal(listing.with_attributes, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(listing.seen[i], 1);
    free(listing.seen);
}

/* Needs the directory of the case above. */
static void list_stops_early_and_goes_on_from_a_cookie(void **state)
{
    struct listing listing = {.seen = calloc(10000, 1), .stop_at = 3000};
    bool end = true;

    world_assert_ok(
        ros2i_control_list(*state, "/big", 0, false, take_entry, &listing, world_deadline(), &end));
    assert_false(end);
    assert_int_equal(listing.count, 3000);
    assert_int_equal(listing.with_attributes, 0);
    listing.stop_at = 0;
    world_assert_ok(ros2i_control_list(*state, "/big", listing.last_cookie, false, take_entry,
                                       &listing, world_deadline(), &end));
    assert_true(end);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(listing.seen[i], 1);
    free(listing.seen);
}

static void list_of_what_is_no_directory_fails(void **state)
{
    struct listing listing = {0};
    bool end;

    make_file("plain", "");
    world_assert_failed(ros2i_control_list(*state, "/plain", 0, false, take_entry, &listing,
                                           world_deadline(), &end),
                        ENOTDIR, "plain");
    world_assert_failed(
        ros2i_control_list(*state, "/gone", 0, false, take_entry, &listing, world_deadline(), &end),
        ENOENT, "gone");
}

/* --- memory ---------------------------------------------------------------------------------------------- */

static void regions_register_and_unregister(void **state)
{
    uint64_t id;

    world_assert_ok(ros2i_control_register(*state, world_nonce, 0, 1 << 20, 0, 3, "tcp", "key", 3,
                                           world_deadline(), &id));
    world_assert_ok(ros2i_control_unregister(*state, id, world_deadline()));
    world_assert_failed(ros2i_control_unregister(*state, id, world_deadline()), ENOENT, "region");
    world_assert_failed(ros2i_control_register(*state, world_nonce, 0, 1, 0, 3, "ucx", "key", 3,
                                               world_deadline(), &id),
                        EPROTONOSUPPORT, "transport");
    world_assert_failed(ros2i_control_register(*state, world_nonce, 0, 0, 0, 3, "tcp", "key", 3,
                                               world_deadline(), &id),
                        EINVAL, "0 bytes");
    world_assert_failed(ros2i_control_register(*state, world_nonce, 0, 1, 0, 8, "tcp", "key", 3,
                                               world_deadline(), &id),
                        EINVAL, "rights");
}

/* --- many at once ---------------------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    struct ros2i_control *control;
    int number;
    _Atomic int failures;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    char path[64];
    struct ros2_attr attr;

    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "/w%d-%d", worker->number, i);
        if (ros2i_control_mkdir(worker->control, path, 0700, world_deadline()) < 0 ||
            ros2i_control_stat(worker->control, path, false, world_deadline(), &attr) < 0 ||
            ros2i_control_unlink(worker->control, path, true, world_deadline()) < 0)
            atomic_fetch_add(&worker->failures, 1);
    }
    return NULL;
}

static void sixteen_threads_share_one_control(void **state)
{
    struct worker worker[16];

    for (int i = 0; i < 16; i++) {
        worker[i] = (struct worker){.control = *state, .number = i};
        assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(worker[i].thread, NULL);
        assert_int_equal(worker[i].failures, 0);
    }
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, connect_one, disconnect_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_has_what_the_data_plane_needs),
        cmocka_unit_test(two_sessions_have_different_secrets),
        ONE(health_says_serving),
        ONE(open_creates_and_stat_sees_it),
        ONE(each_item_of_open_many_has_its_own_result),
        ONE(four_thousand_files_open_in_one_call),
        ONE(names_change_as_asked),
        ONE(bad_paths_are_refused_before_the_engine),
        ONE(handles_of_another_session_are_unknown),
        ONE(list_gives_ten_thousand_names_once),
        ONE(list_stops_early_and_goes_on_from_a_cookie),
        ONE(list_of_what_is_no_directory_fails),
        ONE(regions_register_and_unregister),
        ONE(sixteen_threads_share_one_control),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
