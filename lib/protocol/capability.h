/* SPDX-License-Identifier: Apache-2.0 */
/* A capability: what an Open gives, worth something only on a channel that proved the session's secret. */
#ifndef ROS2I_CAPABILITY_H
#define ROS2I_CAPABILITY_H

#include <stdint.h>

enum ros2i_right {
    ROS2I_RIGHT_READ = 1 << 0,
    ROS2I_RIGHT_WRITE = 1 << 1,
    ROS2I_RIGHT_APPEND = 1 << 2
};

struct ros2i_capability {
    uint64_t handle; /* index in the low 32 bits, generation above; generation 0 is never valid */
    uint32_t rights; /* enum ros2i_right */
};

static inline uint64_t ros2i_handle_make(uint32_t index, uint32_t generation)
{
    return ((uint64_t)generation << 32) | index;
}
static inline uint32_t ros2i_handle_index(uint64_t handle)
{
    return (uint32_t)handle;
}
static inline uint32_t ros2i_handle_generation(uint64_t handle)
{
    return (uint32_t)(handle >> 32);
}

#endif
