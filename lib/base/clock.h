/* SPDX-License-Identifier: Apache-2.0 */
/* The one seam for time: tests inject a clock that they move by hand. */
#ifndef ROS2I_CLOCK_H
#define ROS2I_CLOCK_H

#include <stdint.h>

#define ROS2I_NS_PER_S  1000000000ull
#define ROS2I_NS_PER_MS 1000000ull
#define ROS2I_FOREVER   UINT64_MAX

uint64_t ros2i_now_ns(void);       /* monotonic */
int64_t ros2i_wall_clock_ns(void); /* since 1970 UTC, for expiry times that people see */

/* Tests only: NULL restores the real one. */
void ros2i_clock_inject(uint64_t (*now_ns)(void), int64_t (*wall_ns)(void));

#endif
