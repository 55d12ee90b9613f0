/* SPDX-License-Identifier: Apache-2.0 */
/* The engine over a local file system: one struct per daemon, fixed after engine_open but for the atomics. */
#ifndef ROS2I_POSIX_PLUGIN_H
#define ROS2I_POSIX_PLUGIN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engines/posix/pool.h"
#include "ros2/engine.h"

#define ROS2I_POSIX_OUTLET  "engine/posix"
#define ROS2I_POSIX_STRANDS 64
#define ROS2I_PATH_MAX      4095
#define ROS2I_NAME_MAX      255

/* How an I/O may be carried out; from the config key "io". */
enum ros2i_posix_io {
    ROS2I_IO_AUTO,    /* in the calling thread where that cannot wait, else as the kernel allows */
    ROS2I_IO_NOWAIT,  /* the same, but never io_uring */
    ROS2I_IO_URING,   /* all by io_uring (appends by a thread) */
    ROS2I_IO_THREADS, /* all by threads */
};

struct ros2_engine {
    const struct ros2_host *host;
    enum ros2i_posix_io io;
    bool ring;    /* contexts get an io_uring */
    bool openat2; /* else paths are walked component by component */
    bool direct;  /* reads bypass the page cache where they are aligned */
    unsigned threads;
    struct ros2i_pool *pool;
    struct ros2i_strand strands[ROS2I_POSIX_STRANDS]; /* appends: one inode, one strand */
    atomic_bool ring_loss_logged, direct_loss_logged;
};

/* Sets the text "PATH: cause" (and the way out where there is one); returns -err. */
int ros2i_posix_fail(const struct ros2_engine *engine, const char *path, int err);

#endif
