/* SPDX-License-Identifier: Apache-2.0 */
/* Names: what open flags mean, and the errno of each way to go wrong. */
#include "config.h"

#include "tests/conformance/engine_suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define READ      ROS2_OPEN_READ
#define WRITE     ROS2_OPEN_WRITE
#define CREATE    ROS2_OPEN_CREATE
#define EXCLUSIVE ROS2_OPEN_EXCLUSIVE
#define TRUNCATE  ROS2_OPEN_TRUNCATE
#define DIRECTORY ROS2_OPEN_DIRECTORY
#define NOFOLLOW  ROS2_OPEN_NOFOLLOW

static int try_open(struct world *w, const char *path, unsigned flags)
{
    struct ros2_node *untouched =
        (struct ros2_node *)w; /* any value that open must leave alone when it fails */
    struct ros2_node *node = untouched;
    int rc = w->ops->open(w->root, path, flags, 0644, &node, NULL);
    if (rc == 0)
        w->ops->close(node);
    else
        assert_ptr_equal(node, untouched);
    return rc;
}

static int try_stat(struct world *w, const char *path, int follow)
{
    struct ros2_attr attr;
    return w->ops->stat(w->root, path, follow, &attr);
}

/* file, dir/, dir/inner, link -> dir, filelink -> file, dangling -> nowhere, loop -> loop */
static void populate(struct world *w)
{
    world_create(w, "file", "content");
    assert_int_equal(w->ops->mkdir(w->root, "dir", 0755), 0);
    world_create(w, "dir/inner", "inner");
    world_symlink(w, "dir", "link");
    world_symlink(w, "file", "filelink");
    world_symlink(w, "nowhere", "dangling");
    world_symlink(w, "loop", "loop");
}

struct expectation {
    const char *path;
    unsigned flags;
    int rc;
};

static void open_answers_as_linux_does(void **state)
{
    struct world *w = *state;
    static const struct expectation table[] = {
        {"file", READ, 0},
        {"./file", READ, 0},
        {"dir//inner", READ, 0},
        {"dir/./inner", READ, 0},
        {"dir/../file", READ, 0},
        {"dir/..", READ, 0},
        {"dir/../dir/../dir/inner", READ, 0},
        {"link/inner", READ, 0},
        {"link/../file", READ, 0},
        {"filelink", READ, 0},
        {"", READ, 0},
        {".", READ, 0},
        {"", DIRECTORY, 0},
        {"dir", READ, 0},
        {"dir", DIRECTORY, 0},
        {"dir/", READ, 0},
        {"dir/.", READ, 0},
        {"link/", READ, 0},
        {"link/", READ | NOFOLLOW, 0},
        {"link/inner", READ | NOFOLLOW, 0},
        {"absent", READ, -ENOENT},
        {"absent/x", READ, -ENOENT},
        {"dangling", READ, -ENOENT},
        {"file/x", READ, -ENOTDIR},
        {"file/..", READ, -ENOTDIR},
        {"file/.", READ, -ENOTDIR},
        {"file/", READ, -ENOTDIR},
        {"filelink/", READ, -ENOTDIR},
        {"file", READ | DIRECTORY, -ENOTDIR},
        {"dir", WRITE, -EISDIR},
        {"dir", READ | WRITE, -EISDIR},
        {"dir/", READ | WRITE | CREATE, -EISDIR},
        {"new/", WRITE | CREATE, -EISDIR},
        {"", WRITE | CREATE, -EISDIR},
        {"dir/..", WRITE | CREATE, -EISDIR},
        {"dir", WRITE | CREATE, -EISDIR},
        {"link", WRITE | CREATE, -EISDIR},
        {"file", WRITE | CREATE | EXCLUSIVE, -EEXIST},
        {"dangling", WRITE | CREATE | EXCLUSIVE, -EEXIST},
        {"filelink", READ | NOFOLLOW, -ELOOP},
        {"dangling", READ | NOFOLLOW, -ELOOP},
        {"dangling", WRITE | CREATE | NOFOLLOW, -ELOOP},
        {"loop", READ, -ELOOP},
        {"loop/x", READ, -ELOOP},
        {"dir/loop", READ, -ENOENT},
        {"/file", READ, -EINVAL},
        {"/", READ, -EINVAL},
        {"file", 0, -EINVAL},
        {"file", READ | 1u << 20, -EINVAL},
        {"file", READ | TRUNCATE, -EINVAL},
        {"file", READ | WRITE | EXCLUSIVE, -EINVAL},
    };

    populate(w);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int rc = try_open(w, table[i].path, table[i].flags);
        if (rc != table[i].rc)
            print_message("# open \"%s\" flags 0x%x: %d, not %d\n", table[i].path, table[i].flags,
                          rc, table[i].rc);
        assert_int_equal(rc, table[i].rc);
    }
}

static void open_creates_through_a_link_to_nowhere(void **state)
{
    struct world *w = *state;
    populate(w);
    assert_int_equal(try_open(w, "dangling", WRITE | CREATE), 0);
    assert_int_equal(try_stat(w, "nowhere", 0), 0);
}

static void create_gives_the_mode_asked_for(void **state)
{
    struct world *w = *state;
    static const uint32_t modes[] = {0600, 0644, 0666, 0777, 0400, 0};
    char name[16];

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct ros2_node *node;
        struct ros2_attr attr;
        snprintf(name, sizeof(name), "f%zu", i);
        assert_int_equal(
            w->ops->open(w->root, name, WRITE | CREATE, modes[i] | 07000, &node, &attr), 0);
        w->ops->close(node);
        assert_int_equal(attr.mode, S_IFREG | modes[i]);
        assert_int_equal(attr.size, 0);
    }
    struct ros2_attr attr;
    assert_int_equal(w->ops->mkdir(w->root, "d", 01770), 0);
    assert_int_equal(w->ops->stat(w->root, "d", 0, &attr), 0);
    assert_int_equal(attr.mode, S_IFDIR | 01770);
}

static void truncate_flag_empties_and_others_keep(void **state)
{
    struct world *w = *state;
    populate(w);
    assert_int_equal(try_open(w, "file", WRITE), 0);
    assert_int_equal(try_open(w, "file", WRITE | CREATE), 0);
    assert_int_equal(world_size(w, "file"), strlen("content"));
    assert_int_equal(try_open(w, "file", WRITE | TRUNCATE), 0);
    assert_int_equal(world_size(w, "file"), 0);
}

static void long_names_are_refused_at_256_bytes(void **state)
{
    struct world *w = *state;
    char name[257];

    memset(name, 'n', 256);
    name[256] = '\0';
    assert_int_equal(try_open(w, name, WRITE | CREATE), -ENAMETOOLONG);
    assert_int_equal(try_stat(w, name, 1), -ENAMETOOLONG);
    assert_int_equal(w->ops->mkdir(w->root, name, 0755), -ENAMETOOLONG);
    assert_int_equal(w->ops->rename(w->root, name, "x"), -ENAMETOOLONG);
    name[255] = '\0';
    assert_int_equal(try_open(w, name, WRITE | CREATE), 0);
    assert_int_equal(try_stat(w, name, 1), 0);
    assert_int_equal(w->ops->unlink(w->root, name), 0);
}

static void long_paths_are_refused_at_4096_bytes(void **state)
{
    struct world *w = *state;
    char path[4097];

    assert_int_equal(w->ops->mkdir(w->root, "a", 0755), 0);
    for (size_t i = 0; i < 4096; i++)
        path[i] = i % 2 ? '/' : '.'; /* ./././ */
    path[4096] = '\0';
    assert_int_equal(try_stat(w, path, 1), -ENAMETOOLONG);
    path[4095] = '\0';
    assert_int_equal(try_stat(w, path, 1), 0);
    path[4094] = 'a'; /* .../a */
    assert_int_equal(try_stat(w, path, 1), 0);
}

static void deep_trees_work(void **state)
{
    struct world *w = *state;
    enum { LEVELS = 300 };
    char path[2 * LEVELS + 3 * LEVELS + 16] = "";
    size_t len = 0;

    for (int i = 0; i < LEVELS; i++) {
        len += (size_t)snprintf(path + len, sizeof(path) - len, "%sd", i ? "/" : "");
        assert_int_equal(w->ops->mkdir(w->root, path, 0755), 0);
    }
    for (int i = 0; i < LEVELS; i++)
        len += (size_t)snprintf(path + len, sizeof(path) - len, "/..");
    struct ros2_attr down, up;
    assert_int_equal(w->ops->stat(w->root, path, 1, &down), 0);
    assert_int_equal(w->ops->stat(w->root, "", 1, &up), 0);
    assert_int_equal(down.ino, up.ino);
    snprintf(path + len, sizeof(path) - len, "/..");
    assert_int_equal(try_stat(w, path, 1), -EXDEV);
}

static void stat_tells_the_file_or_the_link(void **state)
{
    struct world *w = *state;
    struct ros2_attr attr, inner;
    populate(w);

    assert_int_equal(w->ops->stat(w->root, "filelink", 1, &attr), 0);
    assert_int_equal(attr.mode & S_IFMT, S_IFREG);
    assert_int_equal(attr.size, strlen("content"));
    assert_int_equal(attr.nlink, 1);
    assert_true(attr.mtime_ns > 0 && attr.ctime_ns > 0 && attr.atime_ns > 0);
    assert_int_equal(w->ops->stat(w->root, "filelink", 0, &attr), 0);
    assert_int_equal(attr.mode & S_IFMT, S_IFLNK);
    assert_int_equal(w->ops->stat(w->root, "link/inner", 0, &inner), 0);
    assert_int_equal(w->ops->stat(w->root, "dir/inner", 0, &attr), 0);
    assert_int_equal(attr.ino, inner.ino);
    assert_int_equal(attr.dev, inner.dev);
    assert_int_equal(try_stat(w, "dangling", 1), -ENOENT);
    assert_int_equal(try_stat(w, "dangling", 0), 0);
    assert_int_equal(try_stat(w, "loop", 1), -ELOOP);
    assert_int_equal(try_stat(w, "file/x", 1), -ENOTDIR);

    struct ros2_node *node = world_node(w, "dir/inner", READ);
    assert_int_equal(w->ops->getattr(node, &attr), 0);
    assert_int_equal(attr.ino, inner.ino);
    assert_int_equal(attr.size, strlen("inner"));
    w->ops->close(node);
}

static void special_files_are_not_opened(void **state)
{
    struct world *w = *state;
    char path[256];
    struct ros2_attr attr;

    snprintf(path, sizeof(path), "%s/fifo", w->dir);
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(try_open(w, "fifo", READ), -ENXIO);
    assert_int_equal(try_open(w, "fifo", WRITE), -ENXIO);
    assert_int_equal(try_open(w, "fifo", READ | WRITE), -ENXIO);
    assert_int_equal(w->ops->stat(w->root, "fifo", 1, &attr), 0);
    assert_int_equal(attr.mode & S_IFMT, S_IFIFO);
}

static void mkdir_answers_as_linux_does(void **state)
{
    struct world *w = *state;
    populate(w);
    assert_int_equal(w->ops->mkdir(w->root, "new", 0755), 0);
    assert_int_equal(w->ops->mkdir(w->root, "slash/", 0755), 0);
    assert_int_equal(w->ops->mkdir(w->root, "link/below", 0755), 0);
    assert_int_equal(try_stat(w, "dir/below", 0), 0);
    assert_int_equal(w->ops->mkdir(w->root, "new", 0755), -EEXIST);
    assert_int_equal(w->ops->mkdir(w->root, "file", 0755), -EEXIST);
    assert_int_equal(w->ops->mkdir(w->root, "dangling", 0755), -EEXIST);
    assert_int_equal(w->ops->mkdir(w->root, "", 0755), -EEXIST);
    assert_int_equal(w->ops->mkdir(w->root, "dir/..", 0755), -EEXIST);
    assert_int_equal(w->ops->mkdir(w->root, "absent/x", 0755), -ENOENT);
    assert_int_equal(w->ops->mkdir(w->root, "file/x", 0755), -ENOTDIR);
    assert_int_equal(w->ops->mkdir(w->root, "loop/x", 0755), -ELOOP);
    assert_int_equal(w->ops->mkdir(w->root, "/x", 0755), -EINVAL);
}

static void unlink_and_rmdir_answer_as_linux_does(void **state)
{
    struct world *w = *state;
    populate(w);
    assert_int_equal(w->ops->unlink(w->root, "absent"), -ENOENT);
    assert_int_equal(w->ops->unlink(w->root, "dir"), -EISDIR);
    assert_int_equal(w->ops->unlink(w->root, ""), -EISDIR);
    assert_int_equal(w->ops->unlink(w->root, "file/"), -ENOTDIR);
    assert_int_equal(w->ops->unlink(w->root, "file/x"), -ENOTDIR);
    assert_int_equal(w->ops->rmdir(w->root, "file"), -ENOTDIR);
    assert_int_equal(w->ops->rmdir(w->root, "dir"), -ENOTEMPTY);
    assert_int_equal(w->ops->rmdir(w->root, "link"), -ENOTDIR);
    assert_int_equal(w->ops->rmdir(w->root, ""), -EBUSY);
    assert_int_equal(w->ops->rmdir(w->root, "dir/."), -EINVAL);
    assert_int_equal(w->ops->rmdir(w->root, "dir/.."), -ENOTEMPTY);
    assert_int_equal(w->ops->rmdir(w->root, "absent"), -ENOENT);

    assert_int_equal(w->ops->unlink(w->root, "filelink"), 0); /* the link, not the file */
    assert_int_equal(try_stat(w, "file", 0), 0);
    assert_int_equal(w->ops->unlink(w->root, "link/inner"), 0);
    assert_int_equal(w->ops->rmdir(w->root, "dir/"), 0);
    assert_int_equal(try_stat(w, "dir", 0), -ENOENT);
}

static void an_open_file_outlives_its_name(void **state)
{
    struct world *w = *state;
    char buf[8];
    world_create(w, "f", "alive");
    struct ros2_node *node = world_node(w, "f", READ | WRITE);
    assert_int_equal(w->ops->unlink(w->root, "f"), 0);
    assert_int_equal(world_write(w, node, "A", 1, 0), 1);
    assert_int_equal(world_read(w, node, buf, sizeof(buf), 0), 5);
    assert_memory_equal(buf, "Alive", 5);
    struct ros2_attr attr;
    assert_int_equal(w->ops->getattr(node, &attr), 0);
    assert_int_equal(attr.nlink, 0);
    w->ops->close(node);
}

static void rename_replaces_and_answers_as_linux_does(void **state)
{
    struct world *w = *state;
    char content[16];
    populate(w);
    world_create(w, "other", "other");
    assert_int_equal(w->ops->rename(w->root, "other", "file"), 0);
    assert_int_equal(world_content(w, "file", content, sizeof(content)), 0);
    assert_string_equal(content, "other");
    assert_int_equal(try_stat(w, "other", 0), -ENOENT);
    assert_int_equal(w->ops->rename(w->root, "file", "link/moved"), 0);
    assert_int_equal(try_stat(w, "dir/moved", 0), 0);
    assert_int_equal(w->ops->rename(w->root, "dir/moved", "file"), 0);

    assert_int_equal(w->ops->rename(w->root, "absent", "x"), -ENOENT);
    assert_int_equal(w->ops->rename(w->root, "file", "absent/x"), -ENOENT);
    assert_int_equal(w->ops->rename(w->root, "file", "dir"), -EISDIR);
    assert_int_equal(w->ops->rename(w->root, "dir", "file"), -ENOTDIR);
    assert_int_equal(w->ops->rename(w->root, "dir", "dir/below"), -EINVAL);
    assert_int_equal(w->ops->mkdir(w->root, "full", 0755), 0);
    world_create(w, "full/x", "");
    assert_int_equal(w->ops->rename(w->root, "dir", "full"), -ENOTEMPTY);
    assert_int_equal(w->ops->rename(w->root, "", "x"), -EBUSY);
    assert_int_equal(w->ops->rename(w->root, "file", ""), -EBUSY);
    assert_int_equal(w->ops->rename(w->root, "dir/..", "x"), -EBUSY);
}

static void truncate_cuts_and_grows_with_zeros(void **state)
{
    struct world *w = *state;
    char buf[16];
    world_create(w, "f", "0123456789");
    struct ros2_node *node = world_node(w, "f", READ | WRITE);
    assert_int_equal(w->ops->truncate(node, 4), 0);
    assert_int_equal(w->ops->truncate(node, 8), 0);
    assert_int_equal(world_read(w, node, buf, sizeof(buf), 0), 8);
    assert_memory_equal(buf, "0123\0\0\0\0", 8);
    assert_true(w->ops->truncate(node, UINT64_MAX) < 0);
    assert_true(w->ops->truncate(node, 1ull << 63) < 0);
    assert_int_equal(world_size(w, "f"), 8);
    w->ops->close(node);

    node = world_node(w, "f", READ);
    assert_int_equal(w->ops->truncate(node, 0), -EINVAL);
    w->ops->close(node);
    assert_int_equal(world_size(w, "f"), 8);
}

static void durability_epoch_is_the_same_for_the_same_mount(void **state)
{
    struct world *w = *state;
    uint64_t first, second;
    struct ros2_root *again;
    assert_int_equal(w->ops->durability_epoch(w->root, &first), 0);
    assert_int_equal(w->ops->root_open(w->engine, w->outside, &again), 0);
    assert_int_equal(w->ops->durability_epoch(again, &second), 0);
    w->ops->root_close(again);
    assert_int_equal(first, second);
}

static void root_open_names_what_is_wrong(void **state)
{
    struct world *w = *state;
    struct ros2_root *root = NULL;
    char path[256];
    snprintf(path, sizeof(path), "%s/absent", w->base);
    assert_int_equal(w->ops->root_open(w->engine, path, &root), -ENOENT);
    world_write_file(w->base, "file", "x");
    snprintf(path, sizeof(path), "%s/file", w->base);
    assert_int_equal(w->ops->root_open(w->engine, path, &root), -ENOTDIR);
    assert_null(root);
}

static const struct CMUnitTest tests[] = {
    world_test(open_answers_as_linux_does),
    world_test(open_creates_through_a_link_to_nowhere),
    world_test(create_gives_the_mode_asked_for),
    world_test(truncate_flag_empties_and_others_keep),
    world_test(long_names_are_refused_at_256_bytes),
    world_test(long_paths_are_refused_at_4096_bytes),
    world_test(deep_trees_work),
    world_test(stat_tells_the_file_or_the_link),
    world_test(special_files_are_not_opened),
    world_test(mkdir_answers_as_linux_does),
    world_test(unlink_and_rmdir_answer_as_linux_does),
    world_test(an_open_file_outlives_its_name),
    world_test(rename_replaces_and_answers_as_linux_does),
    world_test(truncate_cuts_and_grows_with_zeros),
    world_test(durability_epoch_is_the_same_for_the_same_mount),
    world_test(root_open_names_what_is_wrong),
};

const struct topic engine_namespace = topic(tests);
