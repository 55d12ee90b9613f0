/* SPDX-License-Identifier: Apache-2.0 */
/* What layers are made of: each struct stands for one of the engine below, each call goes to it. A layer takes these
 * calls as they are and replaces those that it cares about. The caller's ros2_io goes down as it is: no allocation per
 * I/O; its words belong to the engine below from the call on. */
#ifndef ROS2I_LAYERS_PASS_H
#define ROS2I_LAYERS_PASS_H

#include "ros2/engine.h"

struct ros2_engine { /* fixed after open */
    const struct ros2_host *host;
    const struct ros2_engine_ops *ops; /* the engine below; borrowed */
    struct ros2_engine *lower;
    void *layer; /* the layer's own, which it frees in its engine_close */
};

struct ros2_root {
    struct ros2_engine *engine;
    struct ros2_root *lower;
};

struct ros2_node {
    struct ros2_engine *engine;
    struct ros2_node *lower;
    char path[]; /* as it was opened */
};

struct ros2_io_context {
    struct ros2_engine *engine;
    struct ros2_io_context *lower;
    void *layer; /* the layer's own, which it frees in its context_close */
};

/* Capabilities are those of the engine below: it refuses itself what it lacks. */
#define ROS2I_LAYER_FLAGS \
    (ROS2_ENGINE_LAYER | ROS2_ENGINE_HARD_LINKS | ROS2_ENGINE_SYMLINKS | ROS2_ENGINE_ATOMIC_APPEND)

/* name: of the layer, for error texts. -EINVAL: no engine below. */
int ros2i_pass_open_named(const char *name, const struct ros2_engine_options *options,
                          struct ros2_engine **engine_p);

/* The calls of struct ros2_engine_ops. engine_close leaves the engine below open: it was borrowed. */
void ros2i_pass_engine_close(struct ros2_engine *engine);
int ros2i_pass_root_open(struct ros2_engine *engine, const char *location,
                         struct ros2_root **root_p);
void ros2i_pass_root_close(struct ros2_root *root);
int ros2i_pass_durability_epoch(struct ros2_root *root, uint64_t *epoch_p);
int ros2i_pass_open(struct ros2_root *root, const char *path, unsigned open_flags, uint32_t mode,
                    struct ros2_node **node_p, struct ros2_attr *attr_p);
void ros2i_pass_close(struct ros2_node *node);
int ros2i_pass_getattr(struct ros2_node *node, struct ros2_attr *attr_p);
int ros2i_pass_stat(struct ros2_root *root, const char *path, int follow, struct ros2_attr *attr_p);
int ros2i_pass_readdir(struct ros2_node *directory, uint64_t cookie, int with_attr,
                       ros2_readdir_fn *fn, void *arg);
int ros2i_pass_mkdir(struct ros2_root *root, const char *path, uint32_t mode);
int ros2i_pass_unlink(struct ros2_root *root, const char *path);
int ros2i_pass_rmdir(struct ros2_root *root, const char *path);
int ros2i_pass_rename(struct ros2_root *root, const char *from, const char *to);
int ros2i_pass_truncate(struct ros2_node *node, uint64_t size);
int ros2i_pass_context_open(struct ros2_engine *engine, unsigned depth,
                            struct ros2_io_context **context_p);
void ros2i_pass_context_close(struct ros2_io_context *context);
int ros2i_pass_read(struct ros2_io_context *context, struct ros2_node *node, void *buf, size_t len,
                    uint64_t offset, struct ros2_io *io);
int ros2i_pass_write(struct ros2_io_context *context, struct ros2_node *node, const void *buf,
                     size_t len, uint64_t offset, unsigned io_flags, struct ros2_io *io);
int ros2i_pass_fsync(struct ros2_io_context *context, struct ros2_node *node, unsigned io_flags,
                     struct ros2_io *io);
int ros2i_pass_poll(struct ros2_io_context *context);
int ros2i_pass_context_fd(struct ros2_io_context *context);

#endif
