/* SPDX-License-Identifier: Apache-2.0 */
/* What is held at the moment, read from the tables without stopping anybody. What data threads have moved they log
 * themselves when they end. */
#include "config.h"

#include "daemon/metrics.h"

#include <inttypes.h>

#include "lib/base/log.h"

static uint64_t used(const struct ros2d_limit *limit)
{
    return atomic_load_explicit(&limit->used, memory_order_relaxed);
}

void ros2d_metrics_log(const struct ros2d_state *state)
{
    const struct ros2d_limits *limits = &state->tenant->limits;

    ros2i_log(ROS2_LOG_INFO, "metrics",
              "sessions %" PRIu64 " open_files %" PRIu64 " regions %" PRIu64
              " registered_bytes %" PRIu64 " channels %" PRIu64,
              used(&limits->sessions), used(&limits->open_files), used(&limits->regions),
              used(&limits->registered_bytes), used(&limits->channels));
}
