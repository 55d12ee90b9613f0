/* SPDX-License-Identifier: Apache-2.0 */
/* How much a tenant may hold at once: counters with a ceiling. Threads: any (atomics). */
#ifndef ROS2D_LIMITS_H
#define ROS2D_LIMITS_H

#include <stdatomic.h>
#include <stdint.h>

struct ros2d_limit {
    _Atomic uint64_t used;
    uint64_t max; /* 0: no ceiling; fixed after create */
};

struct ros2d_limits {
    struct ros2d_limit sessions, open_files, regions, registered_bytes;
};

/* 0, or -EDQUOT with an error text that names what, the ceiling and the config key. */
int ros2d_limit_take(struct ros2d_limit *limit, uint64_t n, const char *what,
                     const char *config_key);
void ros2d_limit_give(struct ros2d_limit *limit, uint64_t n);

#endif
