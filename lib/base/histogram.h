/* SPDX-License-Identifier: Apache-2.0 */
/* Latency histogram: log-linear buckets (64 per power of two, under 1.6 % error), one writer, no allocation. */
#ifndef ROS2I_HISTOGRAM_H
#define ROS2I_HISTOGRAM_H

#include <stdint.h>

#define ROS2I_HISTOGRAM_BUCKETS 3776

struct ros2i_histogram {
    uint64_t count, sum, min, max;
    uint64_t bucket[ROS2I_HISTOGRAM_BUCKETS];
};

void ros2i_histogram_init(struct ros2i_histogram *h);
void ros2i_histogram_add(struct ros2i_histogram *h, uint64_t value);
void ros2i_histogram_merge(struct ros2i_histogram *into, const struct ros2i_histogram *from);
/* fraction 0..1; 0 when empty; never above max. */
uint64_t ros2i_histogram_quantile(const struct ros2i_histogram *h, double fraction);

#endif
