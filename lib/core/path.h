/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text: absolute, without ".", ".." and empty components. */
#ifndef ROS2I_PATH_H
#define ROS2I_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define ROS2I_PATH_MAX 4096 /* with NUL */
#define ROS2I_NAME_MAX 255

struct ros2i_path {
    char text[ROS2I_PATH_MAX]; /* begins with '/'; "/" is the root */
    bool directory;            /* it ended in '/', "." or "..": only a directory has such a name */
};

/* ".." at the root stays there. 0, -EINVAL (NULL, or not absolute), -ENOENT (empty), -ENAMETOOLONG (a name above 255 bytes or a path
 * above 4095, before or after resolving). */
int ros2i_path_resolve(const char *path, struct ros2i_path *path_p);
/* The directory that holds path; of "/" that is "/". */
void ros2i_path_parent(struct ros2i_path *path);

#endif
