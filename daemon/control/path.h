/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and flags as clients send them: checked here, before any engine sees them. */
#ifndef ROS2D_PATH_H
#define ROS2D_PATH_H

#include <stddef.h>
#include <stdint.h>

#define ROS2D_PATH_MAX 4095 /* bytes of a path as sent */

/* Turns an absolute path ("/a//b/") into the engine's form ("a/b", "" for the root). 0, or -EINVAL (not absolute, NUL,
 * "." or ".."), -ENAMETOOLONG, with an error text. path is untouched on failure. */
int ros2d_path_take(const uint8_t *data, size_t len, char path[ROS2D_PATH_MAX + 1]);
/* 0, or -EINVAL with a text: open flags of OpenMany that make no sense, permission bits outside of 07777. */
int ros2d_path_check_open(uint32_t open_flags, uint32_t mode);
int ros2d_path_check_mode(uint32_t mode);

#endif
