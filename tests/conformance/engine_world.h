/* SPDX-License-Identifier: Apache-2.0 */
/* What every engine test starts from: a fresh directory, an engine (with layers) over it, a context. Engine and layers
 * come from the environment, so that one suite runs on all of them:
 *   ROS2_TEST_ENGINE         "posix"
 *   ROS2_TEST_ENGINE_CONFIG  its config
 *   ROS2_TEST_ENGINE_LAYERS  names, from the bottom up: "forward,fault"
 *   ROS2_TEST_LAYER_CONFIG   config of the layers */
#ifndef TESTS_CONFORMANCE_ENGINE_WORLD_H
#define TESTS_CONFORMANCE_ENGINE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ros2/engine.h"

#define WORLD_LAYERS  4
#define WORLD_DEPTH   64
#define WORLD_WAIT_MS 60000 /* longer than any healthy operation, also under a sanitizer */

struct world {
    char base[128];    /* holds root/ and outside/ */
    char dir[160];     /* base/root */
    char outside[160]; /* base/outside: nothing in it may be reached */
    const struct ros2_engine_ops *stack_ops[WORLD_LAYERS];
    struct ros2_engine *stack[WORLD_LAYERS]; /* lowest first */
    int height;
    const struct ros2_engine_ops *ops; /* of the top */
    struct ros2_engine *engine;
    struct ros2_root *root;
    struct ros2_io_context *context;
};

struct world_settings { /* NULL: none */
    const char *engine, *config, *layers, *layer_config;
};

/* An I/O that counts its completions. */
struct counted_io {
    struct ros2_io io; /* first */
    int done;
};

/* cmocka's setup and teardown of one case, after the environment. */
int world_setup(void **state);
int world_teardown(void **state);

/* The settings that the environment gives. */
struct world_settings world_environment(void);
/* Makes the directories and opens all; 0 or -errno of the engine, then nothing is left behind. */
int world_open(const struct world_settings *settings, struct world **world_p);
void world_close(struct world *w);

/* -- each of these fails the test when the call does -- */
struct ros2_node *world_node(struct world *w, const char *path, unsigned open_flags);
void world_create(struct world *w, const char *path, const char *content);
/* Beside the engine, in the root's directory (or outside of it): what no client can make. */
void world_symlink(struct world *w, const char *target, const char *path);
void world_write_file(const char *dir, const char *name, const char *content);

/* Begins (retrying nothing) and waits for the end, asleep on context_fd. The io's result, or -EAGAIN. */
int64_t world_read(struct world *w, struct ros2_node *node, void *buf, size_t len, uint64_t offset);
int64_t world_write(struct world *w, struct ros2_node *node, const void *buf, size_t len,
                    uint64_t offset);
int64_t world_append(struct world *w, struct ros2_node *node, const void *buf, size_t len,
                     uint64_t *offset_p);
int64_t world_fsync(struct world *w, struct ros2_node *node, unsigned io_flags);

/* The same for a context of the caller's own. begin: what read() or write() returned. */
void counted_io_init(struct counted_io *io);
void counted_io_wait(const struct ros2_engine_ops *ops, struct ros2_io_context *context,
                     struct counted_io *io, int begin);

/* Opens path, and is the file's content (at most size - 1 bytes, NUL added). -errno of open. */
int world_content(struct world *w, const char *path, char *content, size_t size);
/* The size that stat tells. */
uint64_t world_size(struct world *w, const char *path);

/* Reproducible: the same numbers in each run. */
uint32_t world_random(uint64_t *seed);

#endif
