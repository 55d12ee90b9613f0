/* SPDX-License-Identifier: Apache-2.0 */
/* The one seam for randomness: getrandom(2), or what a test injects. */
#ifndef ROS2I_RANDOM_H
#define ROS2I_RANDOM_H

#include <stddef.h>

/* Cryptographically strong bytes. 0 or -EIO. */
int ros2i_random(void *buf, size_t len);
/* Tests only: NULL restores the real one. */
void ros2i_random_inject(int (*fill)(void *buf, size_t len));

#endif
