/* SPDX-License-Identifier: Apache-2.0 */
/* Directories, engines and waiting for the engine suite. */
#include "config.h"

#include "tests/conformance/engine_world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"

struct world_settings world_environment(void)
{
    const char *engine = getenv("ROS2_TEST_ENGINE");
    return (struct world_settings){
        .engine = engine ? engine : "posix",
        .config = getenv("ROS2_TEST_ENGINE_CONFIG"),
        .layers = getenv("ROS2_TEST_ENGINE_LAYERS"),
        .layer_config = getenv("ROS2_TEST_LAYER_CONFIG"),
    };
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    remove(path);
    return 0;
}

static int make_directories(struct world *w)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(w->base, sizeof(w->base), "%s/engine.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(w->base))
        return -errno;
    snprintf(w->dir, sizeof(w->dir), "%s/root", w->base);
    snprintf(w->outside, sizeof(w->outside), "%s/outside", w->base);
    if (mkdir(w->dir, 0755) < 0 || mkdir(w->outside, 0755) < 0)
        return -errno;
    return 0;
}

static int push_engine(struct world *w, const char *name, const char *config)
{
    assert_true(w->height < WORLD_LAYERS);
    struct ros2_engine_options options = {
        .size = sizeof(options), .host = &ros2i_host, .config = config};
    if (w->height > 0) {
        options.lower_ops = w->ops;
        options.lower = w->engine;
    }
    const struct ros2_engine_ops *ops;
    int rc = ros2i_plugin_engine(name, &ops);
    if (rc == 0)
        rc = ops->engine_open(&options, &w->engine);
    if (rc < 0)
        return rc;
    w->ops = ops;
    w->stack_ops[w->height] = ops;
    w->stack[w->height++] = w->engine;
    return 0;
}

static int push_layers(struct world *w, const struct world_settings *settings)
{
    char names[128];
    char *save = NULL;
    int rc = 0;

    snprintf(names, sizeof(names), "%s", settings->layers ? settings->layers : "");
    for (char *name = strtok_r(names, ",", &save); name && rc == 0;
         name = strtok_r(NULL, ",", &save))
        rc = push_engine(w, name, settings->layer_config);
    return rc;
}

int world_open(const struct world_settings *settings, struct world **world_p)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    int rc = make_directories(w);
    if (rc == 0)
        rc = push_engine(w, settings->engine, settings->config);
    if (rc == 0)
        rc = push_layers(w, settings);
    if (rc == 0)
        rc = w->ops->root_open(w->engine, w->dir, &w->root);
    if (rc == 0)
        rc = w->ops->context_open(w->engine, WORLD_DEPTH, &w->context);
    if (rc < 0) {
        world_close(w);
        return rc;
    }
    *world_p = w;
    return 0;
}

void world_close(struct world *w)
{
    if (w->context)
        w->ops->context_close(w->context);
    if (w->root)
        w->ops->root_close(w->root);
    while (w->height-- > 0)
        w->stack_ops[w->height]->engine_close(w->stack[w->height]);
    nftw(w->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
}

int world_setup(void **state)
{
    struct world_settings settings = world_environment();
    int rc = world_open(&settings, (struct world **)state);
    if (rc < 0)
        print_message("# %s\n", ros2i_error());
    return rc;
}

int world_teardown(void **state)
{
    world_close(*state);
    return 0;
}

struct ros2_node *world_node(struct world *w, const char *path, unsigned open_flags)
{
    struct ros2_node *node = NULL;
    int rc = w->ops->open(w->root, path, open_flags, 0644, &node, NULL);
    if (rc < 0)
        print_message("# %s\n", ros2i_error());
    assert_int_equal(rc, 0);
    return node;
}

void world_create(struct world *w, const char *path, const char *content)
{
    struct ros2_node *node =
        world_node(w, path, ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_TRUNCATE);
    assert_int_equal(world_write(w, node, content, strlen(content), 0), strlen(content));
    w->ops->close(node);
}

void world_symlink(struct world *w, const char *target, const char *path)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", w->dir, path);
    assert_int_equal(symlink(target, full), 0);
}

void world_write_file(const char *dir, const char *name, const char *content)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", dir, name);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void count_done(struct ros2_io *io)
{
    ((struct counted_io *)io)->done++;
}

void counted_io_init(struct counted_io *io)
{
    memset(io, 0, sizeof(*io));
    io->io.done = count_done;
    io->io.result = INT64_MIN;
}

/* Asleep on context_fd: that it wakes the owner is part of the contract. */
void counted_io_wait(const struct ros2_engine_ops *ops, struct ros2_io_context *context,
                     struct counted_io *io, int begin)
{
    assert_true(begin == 0 || begin == 1);
    if (begin == 1) {
        assert_int_equal(io->done, 0);
        return;
    }
    ops->poll(context);
    while (!io->done) {
        struct pollfd p = {.fd = ops->context_fd(context), .events = POLLIN};
        assert_int_equal(poll(&p, 1, WORLD_WAIT_MS), 1);
        ops->poll(context);
    }
    assert_int_equal(io->done, 1);
}

int64_t world_read(struct world *w, struct ros2_node *node, void *buf, size_t len, uint64_t offset)
{
    struct counted_io io;
    counted_io_init(&io);
    int begin = w->ops->read(w->context, node, buf, len, offset, &io.io);
    counted_io_wait(w->ops, w->context, &io, begin);
    return io.io.result;
}

int64_t world_write(struct world *w, struct ros2_node *node, const void *buf, size_t len,
                    uint64_t offset)
{
    struct counted_io io;
    counted_io_init(&io);
    int begin = w->ops->write(w->context, node, buf, len, offset, 0, &io.io);
    counted_io_wait(w->ops, w->context, &io, begin);
    return io.io.result;
}

int64_t world_append(struct world *w, struct ros2_node *node, const void *buf, size_t len,
                     uint64_t *offset_p)
{
    struct counted_io io;
    counted_io_init(&io);
    int begin = w->ops->write(w->context, node, buf, len, 0, ROS2_IO_APPEND, &io.io);
    counted_io_wait(w->ops, w->context, &io, begin);
    *offset_p = io.io.offset;
    return io.io.result;
}

int64_t world_fsync(struct world *w, struct ros2_node *node, unsigned io_flags)
{
    struct counted_io io;
    counted_io_init(&io);
    int begin = w->ops->fsync(w->context, node, io_flags, &io.io);
    counted_io_wait(w->ops, w->context, &io, begin);
    return io.io.result;
}

int world_content(struct world *w, const char *path, char *content, size_t size)
{
    struct ros2_node *node;
    int rc = w->ops->open(w->root, path, ROS2_OPEN_READ, 0, &node, NULL);
    if (rc < 0)
        return rc;
    int64_t n = world_read(w, node, content, size - 1, 0);
    w->ops->close(node);
    content[n > 0 ? n : 0] = '\0';
    return n < 0 ? (int)n : 0;
}

uint64_t world_size(struct world *w, const char *path)
{
    struct ros2_attr attr;
    assert_int_equal(w->ops->stat(w->root, path, 0, &attr), 0);
    return attr.size;
}

uint32_t world_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33);
}
