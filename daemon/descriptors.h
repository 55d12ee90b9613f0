/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors: what the system lets ros2d have, and how many of them open files may take. */
#ifndef ROS2D_DESCRIPTORS_H
#define ROS2D_DESCRIPTORS_H

#include <stdint.h>

/* Raises the soft limit (RLIMIT_NOFILE) to the hard one. Before there are threads. */
void ros2d_descriptors_raise(void);
/* `wanted` open files, of each_takes descriptors, or fewer, so that connections find some when all of them are open; says so
 * in the log. */
uint32_t ros2d_descriptors_for_files(uint32_t wanted, unsigned each_takes);

#endif
