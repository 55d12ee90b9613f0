/* SPDX-License-Identifier: Apache-2.0 */
/* Layer fault over posix: rules do what they say, to the calls they name, and hold what they hold. */
#include "config.h"

#include "tests/conformance/engine_world.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/plugin.h"

#define RW_CREATE (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE)

static struct world *open_with(const char *rules)
{
    struct world *w;
    int rc = world_open(&(struct world_settings){.engine = "posix",
                                                 .layers = "forward,fault",
                                                 .layer_config = rules},
                        &w);
    if (rc < 0)
        print_message("# %s\n", ros2i_error());
    assert_int_equal(rc, 0);
    return w;
}

static void an_errno_is_given_and_nothing_else_happens(void **state)
{
    (void)state;
    struct world *w = open_with("write:errno=ENOSPC,fsync:errno=EIO,unlink:errno=EROFS");
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    assert_int_equal(world_write(w, node, "data", 4, 0), -ENOSPC);
    assert_int_equal(world_fsync(w, node, 0), -EIO);
    assert_int_equal(w->ops->unlink(w->root, "f"), -EROFS);
    assert_non_null(strstr(ros2i_error(), "f: "));
    assert_non_null(strstr(ros2i_error(), "injected"));
    assert_int_equal(world_size(w, "f"), 0);
    w->ops->close(node);
    world_close(w);
}

static int name_is_unwanted(void *arg, const char *name, size_t len, const struct ros2_attr *attr,
                            uint64_t cookie)
{
    (void)arg;
    (void)name;
    (void)len;
    (void)attr;
    (void)cookie;
    return 1;
}

static void a_star_is_every_call(void **state)
{
    (void)state;
    struct world *w = open_with("*:errno=ESTALE:path=to_fail");
    struct ros2_node *node;
    struct ros2_attr attr;
    struct ros2_root *root;
    char path[256];

    world_create(w, "f", "data");
    assert_int_equal(w->ops->open(w->root, "to_fail", RW_CREATE, 0644, &node, NULL), -ESTALE);
    assert_int_equal(w->ops->stat(w->root, "to_fail", 1, &attr), -ESTALE);
    assert_int_equal(w->ops->mkdir(w->root, "to_fail", 0755), -ESTALE);
    assert_int_equal(w->ops->unlink(w->root, "to_fail"), -ESTALE);
    assert_int_equal(w->ops->rmdir(w->root, "to_fail"), -ESTALE);
    assert_int_equal(w->ops->rename(w->root, "to_fail", "f"), -ESTALE);
    snprintf(path, sizeof(path), "%s/to_fail", w->base);
    assert_int_equal(w->ops->root_open(w->engine, path, &root), -ESTALE);
    assert_int_equal(world_size(w, "f"), 4);
    world_close(w);

    w = open_with(
        "getattr:errno=EIO,readdir:errno=ENOMEM,truncate:errno=EDQUOT,read:errno=EREMOTEIO");
    world_create(w, "f", "data");
    node = world_node(w, "f", ROS2_OPEN_READ | ROS2_OPEN_WRITE);
    assert_int_equal(w->ops->getattr(node, &attr), -EIO);
    assert_int_equal(w->ops->readdir(node, 0, 0, name_is_unwanted, NULL), -ENOMEM);
    assert_int_equal(w->ops->truncate(node, 0), -EDQUOT);
    assert_int_equal(world_read(w, node, path, 4, 0), -EREMOTEIO);
    assert_int_equal(world_size(w, "f"), 4);
    w->ops->close(node);
    world_close(w);
}

static void nth_and_times_count(void **state)
{
    (void)state;
    struct world *w =
        open_with("read:errno=EIO:nth=3,fsync:errno=EIO:times=2,mkdir:errno=EPERM:nth=2:times=2");
    static const int64_t reads[] = {4, 4, -EIO, 4, 4}, fsyncs[] = {-EIO, -EIO, 0, 0};
    static const int mkdirs[] = {0, -EPERM, -EPERM, 0};
    char buf[4], name[8];

    world_create(w, "f", "data");
    struct ros2_node *node = world_node(w, "f", ROS2_OPEN_READ);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(world_read(w, node, buf, 4, 0), reads[i]);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(world_fsync(w, node, 0), fsyncs[i]);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        assert_int_equal(w->ops->mkdir(w->root, name, 0755), mkdirs[i]);
    }
    w->ops->close(node);
    world_close(w);
}

static void path_chooses_files(void **state)
{
    (void)state;
    struct world *w = open_with("write:path=bad:errno=EIO");
    struct ros2_node *good = world_node(w, "good", RW_CREATE),
                     *bad = world_node(w, "a_bad_one", RW_CREATE);
    assert_int_equal(world_write(w, good, "x", 1, 0), 1);
    assert_int_equal(world_write(w, bad, "x", 1, 0), -EIO);
    w->ops->close(good);
    w->ops->close(bad);
    world_close(w);
}

static void the_first_rule_that_applies_decides(void **state)
{
    (void)state;
    struct world *w = open_with("write:errno=EIO:nth=1,write:errno=ENOSPC:nth=1");
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    assert_int_equal(world_write(w, node, "x", 1, 0), -EIO);
    assert_int_equal(world_write(w, node, "x", 1, 0),
                     -ENOSPC); /* the first that the second rule sees */
    assert_int_equal(world_write(w, node, "x", 1, 0), 1);
    w->ops->close(node);
    world_close(w);
}

static void short_cuts_reads(void **state)
{
    (void)state;
    struct world *w = open_with("read:short=3:times=1");
    char buf[8];
    world_create(w, "f", "0123456");
    struct ros2_node *node = world_node(w, "f", ROS2_OPEN_READ);
    assert_int_equal(world_read(w, node, buf, 7, 0), 3);
    assert_memory_equal(buf, "012", 3);
    assert_int_equal(world_read(w, node, buf, 7, 0), 7);
    w->ops->close(node);
    world_close(w);
}

static void delay_is_waited_out(void **state)
{
    (void)state;
    struct world *w = open_with("write:delay_ms=50,fsync:delay_ms=30:errno=EIO,stat:delay_ms=40");
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    struct ros2_attr attr;
    uint64_t start = ros2i_now_ns();
    assert_int_equal(world_write(w, node, "data", 4, 0), 4);
    assert_true(ros2i_now_ns() - start >= 50 * ROS2I_NS_PER_MS);
    start = ros2i_now_ns();
    assert_int_equal(world_fsync(w, node, 0), -EIO);
    assert_true(ros2i_now_ns() - start >= 30 * ROS2I_NS_PER_MS);
    start = ros2i_now_ns();
    assert_int_equal(w->ops->stat(w->root, "f", 1, &attr), 0);
    assert_true(ros2i_now_ns() - start >= 40 * ROS2I_NS_PER_MS);
    assert_int_equal(attr.size, 4);
    w->ops->close(node);
    world_close(w);
}

/* -- holding -- */

struct held_world {
    struct world *w;
    char folder[128], file[160], rules[512];
};

/* format: rules, one %s is the file that holds. */
static void hold_setup(struct held_world *h, const char *before, const char *after)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(h->folder, sizeof(h->folder), "%s/hold.XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->file, sizeof(h->file), "%s/file", h->folder);
    world_write_file(h->folder, "file", "");
    snprintf(h->rules, sizeof(h->rules), "%swhile=%s%s", before, h->file, after);
    h->w = open_with(h->rules);
}

static void let_go(struct held_world *h)
{
    assert_int_equal(unlink(h->file), 0);
}

static void hold_teardown(struct held_world *h)
{
    world_close(h->w);
    rmdir(h->folder);
}

static void poll_for_a_while(struct world *w)
{
    for (int i = 0; i < 5; i++) {
        struct pollfd p = {.fd = w->ops->context_fd(w->context), .events = POLLIN};
        assert_int_equal(poll(&p, 1, WORLD_WAIT_MS), 1); /* the tick */
        w->ops->poll(w->context);
    }
}

static void a_held_write_takes_effect_when_it_is_let_go(void **state)
{
    (void)state;
    struct held_world h;
    struct counted_io io, read_io;
    char buf[8];

    hold_setup(&h, "write:path=victim:", "");
    struct world *w = h.w;
    world_create(w, "other", "free"); /* not held */
    struct ros2_node *node = world_node(w, "victim", RW_CREATE);
    counted_io_init(&io);
    assert_int_equal(w->ops->write(w->context, node, "late", 4, 0, 0, &io.io), 0);
    poll_for_a_while(w);
    assert_int_equal(io.done, 0);
    assert_int_equal(world_size(w, "victim"), 0);
    counted_io_init(&read_io); /* others go by */
    counted_io_wait(w->ops, w->context, &read_io,
                    w->ops->read(w->context, node, buf, 8, 0, &read_io.io));
    assert_int_equal(read_io.io.result, 0);
    assert_int_equal(io.done, 0);

    let_go(&h);
    counted_io_wait(w->ops, w->context, &io, 0);
    assert_int_equal(io.io.result, 4);
    assert_int_equal(world_content(w, "victim", buf, sizeof(buf)), 0);
    assert_string_equal(buf, "late");
    w->ops->close(node);
    hold_teardown(&h);
}

static void operations_of_each_kind_are_held_and_keep_their_data(void **state)
{
    (void)state;
    struct held_world h;
    struct counted_io ios[3];
    char buf[8];

    hold_setup(&h, "*:path=victim:", ":nth=2:times=3"); /* the open goes by */
    struct world *w = h.w;
    struct ros2_node *node = world_node(w, "victim", RW_CREATE);
    for (int i = 0; i < 3; i++)
        counted_io_init(&ios[i]);
    assert_int_equal(w->ops->write(w->context, node, "abcd", 4, 2, 0, &ios[0].io), 0);
    assert_int_equal(w->ops->write(w->context, node, "ef", 2, 0, ROS2_IO_APPEND, &ios[1].io), 0);
    assert_int_equal(w->ops->fsync(w->context, node, ROS2_IO_DATASYNC, &ios[2].io), 0);
    assert_int_equal(world_read(w, node, buf, 8, 0), 0);
    let_go(&h);
    for (int i = 0; i < 3; i++)
        counted_io_wait(w->ops, w->context, &ios[i], 0);
    assert_int_equal(ios[0].io.result, 4);
    assert_int_equal(ios[1].io.result, 2);
    assert_int_equal(ios[2].io.result, 0);
    assert_int_equal(world_read(w, node, buf, 4, 2), 4);
    assert_memory_equal(buf, "abcd", 4);
    assert_true(ios[1].io.offset == 0 || ios[1].io.offset == 6); /* let go, they race as ever */
    assert_int_equal(world_read(w, node, buf, 2, ios[1].io.offset), 2);
    assert_memory_equal(buf, "ef", 2);
    w->ops->close(node);
    hold_teardown(&h);
}

static void a_held_operation_may_end_in_an_errno(void **state)
{
    (void)state;
    struct held_world h;
    struct counted_io io;
    char buf[4];

    hold_setup(&h, "read:errno=EIO:", ":times=1");
    struct world *w = h.w;
    world_create(w, "f", "data");
    struct ros2_node *node = world_node(w, "f", ROS2_OPEN_READ);
    memset(buf, '#', sizeof(buf));
    counted_io_init(&io);
    assert_int_equal(w->ops->read(w->context, node, buf, 4, 0, &io.io), 0);
    let_go(&h);
    counted_io_wait(w->ops, w->context, &io, 0);
    assert_int_equal(io.io.result, -EIO);
    assert_memory_equal(buf, "####", 4);
    w->ops->close(node);
    hold_teardown(&h);
}

static void held_operations_use_up_the_depth(void **state)
{
    (void)state;
    struct held_world h;
    struct counted_io ios[3];
    struct ros2_io_context *context;

    hold_setup(&h, "write:", "");
    struct world *w = h.w;
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    assert_int_equal(w->ops->context_open(w->engine, 2, &context), 0);
    for (int i = 0; i < 3; i++)
        counted_io_init(&ios[i]);
    assert_int_equal(w->ops->write(context, node, "a", 1, 0, 0, &ios[0].io), 0);
    assert_int_equal(w->ops->write(context, node, "b", 1, 1, 0, &ios[1].io), 0);
    assert_int_equal(w->ops->write(context, node, "c", 1, 2, 0, &ios[2].io), -EAGAIN);
    let_go(&h);
    counted_io_wait(w->ops, context, &ios[0], 0);
    counted_io_wait(w->ops, context, &ios[1], 0);
    counted_io_wait(w->ops, context, &ios[2],
                    w->ops->write(context, node, "c", 1, 2, 0, &ios[2].io));
    assert_int_equal(world_size(w, "f"), 3);
    w->ops->context_close(context);
    w->ops->close(node);
    hold_teardown(&h);
}

struct maker {
    struct world *w;
    atomic_bool ended;
    int rc;
};

static void *make_directory(void *arg)
{
    struct maker *maker = arg;
    maker->rc = maker->w->ops->mkdir(maker->w->root, "made", 0755);
    atomic_store(&maker->ended, true);
    return NULL;
}

static void a_held_namespace_call_blocks_its_thread(void **state)
{
    (void)state;
    struct held_world h;
    struct ros2_attr attr;
    pthread_t thread;

    hold_setup(&h, "mkdir:", "");
    struct maker maker = {.w = h.w};
    assert_int_equal(pthread_create(&thread, NULL, make_directory, &maker), 0);
    uint64_t start = ros2i_now_ns();
    while (ros2i_now_ns() - start < 30 * ROS2I_NS_PER_MS)
        assert_int_equal(h.w->ops->stat(h.w->root, "made", 0, &attr), -ENOENT);
    assert_false(atomic_load(&maker.ended));
    let_go(&h);
    pthread_join(thread, NULL);
    assert_int_equal(maker.rc, 0);
    assert_int_equal(h.w->ops->stat(h.w->root, "made", 0, &attr), 0);
    hold_teardown(&h);
}

static void an_idle_layer_does_not_tick(void **state)
{
    (void)state;
    struct world *w = open_with("write:delay_ms=10");
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    assert_int_equal(world_write(w, node, "data", 4, 0), 4);
    struct pollfd p = {.fd = w->ops->context_fd(w->context), .events = POLLIN};
    for (int i = 0; i < 10 && poll(&p, 1, 20) != 0; i++)
        w->ops->poll(w->context);
    assert_int_equal(poll(&p, 1, 20), 0);
    w->ops->close(node);
    world_close(w);
}

/* -- configuration -- */

static void wrong_rules_are_named(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"reed:errno=EIO", "reed"},
        {"read", "read"},
        {"read:errno", "errno"},
        {"read:errno=EWHAT", "EWHAT"},
        {"read:errno=5", "errno=5"},
        {"read:nth=0:errno=EIO", "nth=0"},
        {"read:nth=-1:errno=EIO", "nth=-1"},
        {"read:nth=99999999999999999999:errno=EIO", "nth=9999"},
        {"read:times=x:errno=EIO", "times=x"},
        {"read:color=red", "color"},
        {"write:short=10", "short"},
        {"read:while=:errno=EIO", "while"},
        {"read:nth=3", "nothing"},
        {"read:errno=EIO,bad", "bad"},
        {":errno=EIO", "errno=EIO"},
    };
    struct world *w;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct world_settings settings = {
            .engine = "posix", .layers = "fault", .layer_config = wrong[i][0]};
        assert_int_equal(world_open(&settings, &w), -EINVAL);
        if (!strstr(ros2i_error(), wrong[i][1]))
            print_message("# %s: %s\n", wrong[i][0], ros2i_error());
        assert_non_null(strstr(ros2i_error(), "engine fault"));
        assert_non_null(strstr(ros2i_error(), wrong[i][1]));
    }
}

static void a_layer_needs_an_engine_below(void **state)
{
    (void)state;
    static const char *const names[] = {"forward", "fault"};
    for (size_t i = 0; i < 2; i++) {
        const struct ros2_engine_ops *ops;
        struct ros2_engine *engine = NULL;
        struct ros2_engine_options options = {.size = sizeof(options), .host = &ros2i_host};
        assert_int_equal(ros2i_plugin_engine(names[i], &ops), 0);
        assert_true(ops->flags & ROS2_ENGINE_LAYER);
        assert_int_equal(ops->engine_open(&options, &engine), -EINVAL);
        assert_non_null(strstr(ros2i_error(), "engine below"));
        assert_null(engine);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_errno_is_given_and_nothing_else_happens),
        cmocka_unit_test(a_star_is_every_call),
        cmocka_unit_test(nth_and_times_count),
        cmocka_unit_test(path_chooses_files),
        cmocka_unit_test(the_first_rule_that_applies_decides),
        cmocka_unit_test(short_cuts_reads),
        cmocka_unit_test(delay_is_waited_out),
        cmocka_unit_test(a_held_write_takes_effect_when_it_is_let_go),
        cmocka_unit_test(operations_of_each_kind_are_held_and_keep_their_data),
        cmocka_unit_test(a_held_operation_may_end_in_an_errno),
        cmocka_unit_test(held_operations_use_up_the_depth),
        cmocka_unit_test(a_held_namespace_call_blocks_its_thread),
        cmocka_unit_test(an_idle_layer_does_not_tick),
        cmocka_unit_test(wrong_rules_are_named),
        cmocka_unit_test(a_layer_needs_an_engine_below),
    };
    umask(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
