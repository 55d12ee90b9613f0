/* SPDX-License-Identifier: Apache-2.0 */
/* Path resolution of our own, for kernels and sandboxes without openat2. */
#ifndef ROS2I_POSIX_WALK_H
#define ROS2I_POSIX_WALK_H

#include <sys/types.h>

struct ros2_root;

/* As ros2i_root_resolve, for a path that was checked and is not "". */
int ros2i_walk(const struct ros2_root *root, const char *path, int o_flags, mode_t mode);

#endif
