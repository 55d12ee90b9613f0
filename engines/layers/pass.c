/* SPDX-License-Identifier: Apache-2.0 */
/* Passing calls on. Threads and errors are those of the engine below, which also sets the error texts. */
#include "config.h"

#include "engines/layers/pass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ros2i_pass_open_named(const char *name, const struct ros2_engine_options *options,
                          struct ros2_engine **engine_p)
{
    const struct ros2_host *host = options->host;

    if (!options->lower_ops || !options->lower)
        return host->fail(EINVAL, "engine %s: it is a layer and needs an engine below", name);
    struct ros2_engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return host->fail(ENOMEM, "engine %s: out of memory", name);
    engine->host = host;
    engine->ops = options->lower_ops;
    engine->lower = options->lower;
    *engine_p = engine;
    return 0;
}

void ros2i_pass_engine_close(struct ros2_engine *engine)
{
    free(engine);
}

int ros2i_pass_root_open(struct ros2_engine *engine, const char *location,
                         struct ros2_root **root_p)
{
    struct ros2_root *root = calloc(1, sizeof(*root));
    if (!root)
        return engine->host->fail(ENOMEM, "%s: out of memory", location);
    root->engine = engine;
    int rc = engine->ops->root_open(engine->lower, location, &root->lower);
    if (rc < 0) {
        free(root);
        return rc;
    }
    *root_p = root;
    return 0;
}

void ros2i_pass_root_close(struct ros2_root *root)
{
    root->engine->ops->root_close(root->lower);
    free(root);
}

int ros2i_pass_durability_epoch(struct ros2_root *root, uint64_t *epoch_p)
{
    return root->engine->ops->durability_epoch(root->lower, epoch_p);
}

int ros2i_pass_open(struct ros2_root *root, const char *path, unsigned open_flags, uint32_t mode,
                    struct ros2_node **node_p, struct ros2_attr *attr_p)
{
    struct ros2_engine *engine = root->engine;
    size_t path_size = strlen(path) + 1;

    struct ros2_node *node = calloc(1, sizeof(*node) + path_size);
    if (!node)
        return engine->host->fail(ENOMEM, "%s: out of memory", path);
    node->engine = engine;
    memcpy(node->path, path, path_size);
    int rc = engine->ops->open(root->lower, path, open_flags, mode, &node->lower, attr_p);
    if (rc < 0) {
        free(node);
        return rc;
    }
    *node_p = node;
    return 0;
}

void ros2i_pass_close(struct ros2_node *node)
{
    node->engine->ops->close(node->lower);
    free(node);
}

int ros2i_pass_getattr(struct ros2_node *node, struct ros2_attr *attr_p)
{
    return node->engine->ops->getattr(node->lower, attr_p);
}

int ros2i_pass_stat(struct ros2_root *root, const char *path, int follow, struct ros2_attr *attr_p)
{
    return root->engine->ops->stat(root->lower, path, follow, attr_p);
}

int ros2i_pass_readdir(struct ros2_node *directory, uint64_t cookie, int with_attr,
                       ros2_readdir_fn *fn, void *arg)
{
    return directory->engine->ops->readdir(directory->lower, cookie, with_attr, fn, arg);
}

int ros2i_pass_mkdir(struct ros2_root *root, const char *path, uint32_t mode)
{
    return root->engine->ops->mkdir(root->lower, path, mode);
}

int ros2i_pass_unlink(struct ros2_root *root, const char *path)
{
    return root->engine->ops->unlink(root->lower, path);
}

int ros2i_pass_rmdir(struct ros2_root *root, const char *path)
{
    return root->engine->ops->rmdir(root->lower, path);
}

int ros2i_pass_rename(struct ros2_root *root, const char *from, const char *to)
{
    return root->engine->ops->rename(root->lower, from, to);
}

int ros2i_pass_truncate(struct ros2_node *node, uint64_t size)
{
    return node->engine->ops->truncate(node->lower, size);
}

int ros2i_pass_context_open(struct ros2_engine *engine, unsigned depth,
                            struct ros2_io_context **context_p)
{
    struct ros2_io_context *context = calloc(1, sizeof(*context));
    if (!context)
        return engine->host->fail(ENOMEM, "I/O context: out of memory");
    context->engine = engine;
    int rc = engine->ops->context_open(engine->lower, depth, &context->lower);
    if (rc < 0) {
        free(context);
        return rc;
    }
    *context_p = context;
    return 0;
}

void ros2i_pass_context_close(struct ros2_io_context *context)
{
    context->engine->ops->context_close(context->lower);
    free(context);
}

int ros2i_pass_read(struct ros2_io_context *context, struct ros2_node *node, void *buf, size_t len,
                    uint64_t offset, struct ros2_io *io)
{
    return context->engine->ops->read(context->lower, node->lower, buf, len, offset, io);
}

int ros2i_pass_write(struct ros2_io_context *context, struct ros2_node *node, const void *buf,
                     size_t len, uint64_t offset, unsigned io_flags, struct ros2_io *io)
{
    return context->engine->ops->write(context->lower, node->lower, buf, len, offset, io_flags, io);
}

int ros2i_pass_fsync(struct ros2_io_context *context, struct ros2_node *node, unsigned io_flags,
                     struct ros2_io *io)
{
    return context->engine->ops->fsync(context->lower, node->lower, io_flags, io);
}

int ros2i_pass_poll(struct ros2_io_context *context)
{
    return context->engine->ops->poll(context->lower);
}

int ros2i_pass_context_fd(struct ros2_io_context *context)
{
    return context->engine->ops->context_fd(context->lower);
}
