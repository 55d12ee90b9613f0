/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on names, and open files as they come out of them. May block; any thread. */
#ifndef ROS2I_POSIX_NAMESPACE_H
#define ROS2I_POSIX_NAMESPACE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engines/posix/plugin.h"

struct ros2_node { /* fixed after open but for the atomics; any thread */
    struct ros2_engine *engine;
    int fd;
    int direct_fd;       /* the same file with O_DIRECT, for reads; -1: none */
    unsigned open_flags; /* enum ros2_open_flag */
    bool directory;
    bool in_memory;         /* no I/O waits for a device */
    uint64_t dev, ino;      /* choose the strand of its appends */
    atomic_bool may_wait;   /* O_NONBLOCK is cleared */
    atomic_bool read_waits; /* the file system knows no RWF_NOWAIT: do not try again */
    atomic_bool write_waits;
    atomic_bool direct_refused; /* a direct read was: do not try again */
    char path[];                /* as it was opened, for error texts */
};

/* Files are opened with O_NONBLOCK, with which io_uring gives EAGAIN where it should wait for the disk. So before it gets one,
 * and not at each open: small files are read from memory and closed again. */
void ros2i_namespace_let_wait(struct ros2_node *node);

/* Fills attr from what the kernel said of dir/name, as statx(2). 0 or -errno. Sets no text. */
int ros2i_namespace_attr(int dir, const char *name, int at_flags, struct ros2_attr *attr_p);

/* The calls of struct ros2_engine_ops. */
int ros2i_namespace_open(struct ros2_root *root, const char *path, unsigned open_flags,
                         uint32_t mode, struct ros2_node **node_p, struct ros2_attr *attr_p);
void ros2i_namespace_close(struct ros2_node *node);
int ros2i_namespace_getattr(struct ros2_node *node, struct ros2_attr *attr_p);
int ros2i_namespace_stat(struct ros2_root *root, const char *path, int follow,
                         struct ros2_attr *attr_p);
int ros2i_namespace_mkdir(struct ros2_root *root, const char *path, uint32_t mode);
int ros2i_namespace_unlink(struct ros2_root *root, const char *path);
int ros2i_namespace_rmdir(struct ros2_root *root, const char *path);
int ros2i_namespace_rename(struct ros2_root *root, const char *from, const char *to);
int ros2i_namespace_truncate(struct ros2_node *node, uint64_t size);

#endif
