/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant's directory, and the only way to a file below it: no path leads out. */
#ifndef ROS2I_POSIX_ROOT_H
#define ROS2I_POSIX_ROOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engines/posix/plugin.h"

struct ros2_root { /* fixed after open; any thread */
    struct ros2_engine *engine;
    int fd; /* O_PATH */
    uint64_t dev, ino;
    bool in_memory; /* tmpfs: no I/O on this device waits for another */
};

/* The calls of struct ros2_engine_ops. */
int ros2i_root_open(struct ros2_engine *engine, const char *location, struct ros2_root **root_p);
void ros2i_root_close(struct ros2_root *root);
int ros2i_root_durability_epoch(struct ros2_root *root, uint64_t *epoch_p);

/* 0 when openat2 with RESOLVE_BENEATH works, or -ENOSYS, -EPERM ... */
int ros2i_root_probe_openat2(void);

/* Opens path below root as open(2) does with these O_ flags (O_CLOEXEC is added). "" is the root. Returns a descriptor or
 * -errno as Linux gives it, -EXDEV for a path that leads out, -EINVAL for a leading '/'. Sets no text. */
int ros2i_root_resolve(const struct ros2_root *root, const char *path, int o_flags, mode_t mode);
/* Opens the directory that holds path's last component; *last_p points at that component in path, trailing slashes
 * included ("" for the root itself). Returns an O_PATH descriptor or -errno. Sets no text. */
int ros2i_root_resolve_parent(const struct ros2_root *root, const char *path, const char **last_p);

#endif
