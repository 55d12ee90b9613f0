/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a directory. */
#ifndef ROS2I_POSIX_DIR_H
#define ROS2I_POSIX_DIR_H

#include "ros2/engine.h"

int ros2i_dir_readdir(struct ros2_node *directory, uint64_t cookie, int with_attr,
                      ros2_readdir_fn *fn, void *arg);

#endif
