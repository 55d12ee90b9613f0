/* SPDX-License-Identifier: Apache-2.0 */
/* Engine posix: files of a local file system, one directory per tenant. This file holds the table of calls, the
 * configuration and what the kernel is asked once: may we use io_uring, may we use openat2. */
#include "config.h"

#include "engines/posix/plugin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engines/posix/context.h"
#include "engines/posix/dir.h"
#include "engines/posix/file.h"
#include "engines/posix/namespace.h"
#include "engines/posix/ring.h"
#include "engines/posix/root.h"

/* They carry appends, and all that may wait where io_uring is refused; there, four keep a disk's queue from running dry. */
#define THREADS_DEFAULT 4
#define THREADS_MAX     256

enum confine { CONFINE_AUTO, CONFINE_OPENAT2, CONFINE_WALK };

struct settings {
    enum ros2i_posix_io io;
    enum confine confine;
    unsigned threads;
    bool direct;
};

static const char *const io_names[] = {"auto", "nowait", "uring", "threads", NULL};
static const char *const direct_names[] = {"off", "reads", NULL};
static const char *const confine_names[] = {"auto", "openat2", "walk", NULL};

int ros2i_posix_fail(const struct ros2_engine *engine, const char *path, int err)
{
    const char *name = *path ? path : ".";
    switch (err) {
    case EXDEV:
        return engine->host->fail(err, "%s: leads out of the root", name);
    case EMFILE:
        return engine->host->fail(
            err, "%s: the daemon has no file descriptor left; raise its RLIMIT_NOFILE", name);
    default:
        return engine->host->fail(err, "%s: %s", name, strerrordesc_np(err));
    }
}

static int choose(const char *const names[], const char *value, size_t len)
{
    for (int i = 0; names[i]; i++)
        if (strlen(names[i]) == len && memcmp(names[i], value, len) == 0)
            return i;
    return -1;
}

static int parse_threads(const char *value, size_t len)
{
    int threads = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9' || threads > THREADS_MAX)
            return -1;
        threads = threads * 10 + (value[i] - '0');
    }
    return threads >= 1 && threads <= THREADS_MAX ? threads : -1;
}

static bool is_key(const char *item, size_t key_len, const char *key)
{
    return strlen(key) == key_len && memcmp(item, key, key_len) == 0;
}

static int parse_item(const struct ros2_host *host, const char *item, size_t len,
                      struct settings *settings)
{
    const char *equals = memchr(item, '=', len);
    size_t key_len = equals ? (size_t)(equals - item) : len;
    const char *value = equals ? equals + 1 : item + len;
    size_t value_len = (size_t)(item + len - value);
    int n;

    if (is_key(item, key_len, "io")) {
        if ((n = choose(io_names, value, value_len)) < 0)
            return host->fail(EINVAL,
                              "engine posix: %.*s: io is one of auto, nowait, uring, threads",
                              (int)len, item);
        settings->io = (enum ros2i_posix_io)n;
    } else if (is_key(item, key_len, "confine")) {
        if ((n = choose(confine_names, value, value_len)) < 0)
            return host->fail(EINVAL, "engine posix: %.*s: confine is one of auto, openat2, walk",
                              (int)len, item);
        settings->confine = (enum confine)n;
    } else if (is_key(item, key_len, "threads")) {
        if ((n = parse_threads(value, value_len)) < 0)
            return host->fail(EINVAL, "engine posix: %.*s: threads is a number, 1..%d", (int)len,
                              item, THREADS_MAX);
        settings->threads = (unsigned)n;
    } else if (is_key(item, key_len, "direct")) {
        if ((n = choose(direct_names, value, value_len)) < 0)
            return host->fail(EINVAL, "engine posix: %.*s: direct is one of off, reads", (int)len,
                              item);
        settings->direct = n == 1;
    } else {
        return host->fail(
            EINVAL, "engine posix: unknown key %.*s; there are io, confine, direct and threads",
            (int)key_len, item);
    }
    return 0;
}

static int parse(const struct ros2_host *host, const char *config, struct settings *settings)
{
    while (config && *config) {
        size_t len = strcspn(config, ",");
        int rc = len ? parse_item(host, config, len, settings) : 0;
        if (rc < 0)
            return rc;
        config += len + (config[len] == ',');
    }
    return 0;
}

static int choose_ring(struct ros2_engine *engine)
{
    if (engine->io == ROS2I_IO_NOWAIT || engine->io == ROS2I_IO_THREADS)
        return 0;
    int rc = ros2i_ring_probe();
    if (rc < 0 && engine->io == ROS2I_IO_URING)
        return engine->host->fail(
            -rc, "engine posix: io=uring: " ROS2I_RING_REFUSED " (%s); change that or use io=auto",
            strerrordesc_np(-rc));
    if (rc < 0)
        engine->host->log(ROS2_LOG_INFO, ROS2I_POSIX_OUTLET,
                          "io_uring refused, reads by threads: cause %s", strerrorname_np(-rc));
    engine->ring = rc == 0;
    return 0;
}

static int choose_confine(struct ros2_engine *engine, enum confine confine)
{
    if (confine == CONFINE_WALK)
        return 0;
    int rc = ros2i_root_probe_openat2();
    if (rc < 0 && confine == CONFINE_OPENAT2)
        return engine->host->fail(-rc,
                                  "engine posix: confine=openat2: the kernel refuses openat2 (%s); "
                                  "allow it or use confine=auto",
                                  strerrordesc_np(-rc));
    if (rc < 0)
        engine->host->log(ROS2_LOG_INFO, ROS2I_POSIX_OUTLET,
                          "openat2 refused, paths are walked: cause %s", strerrorname_np(-rc));
    engine->openat2 = rc == 0;
    return 0;
}

static int engine_open(const struct ros2_engine_options *options, struct ros2_engine **engine_p)
{
    struct settings settings = {.threads = THREADS_DEFAULT};
    int rc = parse(options->host, options->config, &settings);
    if (rc < 0)
        return rc;

    struct ros2_engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return options->host->fail(ENOMEM, "engine posix: out of memory");
    engine->host = options->host;
    engine->io = settings.io;
    engine->threads = settings.threads;
    engine->direct = settings.direct;
    rc = choose_ring(engine);
    if (rc < 0)
        goto free_engine;
    rc = choose_confine(engine, settings.confine);
    if (rc < 0)
        goto free_engine;
    rc = ros2i_pool_create(engine->threads, &engine->pool);
    if (rc < 0) {
        engine->host->fail(-rc, "engine posix: starting %u threads: %s", engine->threads,
                           strerrordesc_np(-rc));
        goto free_engine;
    }
    for (size_t i = 0; i < ROS2I_POSIX_STRANDS; i++)
        ros2i_strand_init(&engine->strands[i], engine->pool);
    *engine_p = engine;
    return 0;

free_engine:
    free(engine);
    return rc;
}

static void engine_close(struct ros2_engine *engine)
{
    ros2i_pool_destroy(engine->pool);
    for (size_t i = 0; i < ROS2I_POSIX_STRANDS; i++)
        ros2i_strand_fini(&engine->strands[i]);
    free(engine);
}

static const struct ros2_engine_ops ops = {
    .abi = ROS2_ENGINE_ABI,
    .flags = ROS2_ENGINE_HARD_LINKS | ROS2_ENGINE_SYMLINKS | ROS2_ENGINE_ATOMIC_APPEND,
    .size = sizeof(ops),
    .name = "posix",
    .engine_open = engine_open,
    .engine_close = engine_close,
    .root_open = ros2i_root_open,
    .root_close = ros2i_root_close,
    .durability_epoch = ros2i_root_durability_epoch,
    .open = ros2i_namespace_open,
    .close = ros2i_namespace_close,
    .getattr = ros2i_namespace_getattr,
    .stat = ros2i_namespace_stat,
    .readdir = ros2i_dir_readdir,
    .mkdir = ros2i_namespace_mkdir,
    .unlink = ros2i_namespace_unlink,
    .rmdir = ros2i_namespace_rmdir,
    .rename = ros2i_namespace_rename,
    .truncate = ros2i_namespace_truncate,
    .context_open = ros2i_context_open,
    .context_close = ros2i_context_close,
    .read = ros2i_file_read,
    .write = ros2i_file_write,
    .fsync = ros2i_file_fsync,
    .poll = ros2i_context_poll,
    .context_fd = ros2i_context_fd,
};

const struct ros2_engine_ops *ros2_engine_plugin(void);

const struct ros2_engine_ops *ros2_engine_plugin(void)
{
    return &ops;
}
