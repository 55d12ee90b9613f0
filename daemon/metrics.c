/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of the data threads and of the tables, read without stopping anybody: figures of about one moment. */
#include "config.h"

#include "daemon/metrics.h"

#include <inttypes.h>

#include "lib/base/log.h"

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void ros2d_metrics_log(const struct ros2d_state *state, const struct ros2d_data *data)
{
    const struct ros2d_limits *limits = &state->tenant->limits;
    struct ros2d_counters c = {0};

    ros2d_data_counters(data, &c);
    ros2i_log(ROS2_LOG_INFO, "metrics",
              "sessions %" PRIu64 " open_files %" PRIu64 " regions %" PRIu64
              " registered_bytes %" PRIu64 " channels %" PRIu64 " accepted %" PRIu64
              " rejected %" PRIu64 " broken %" PRIu64,
              get(&limits->sessions.used), get(&limits->open_files.used),
              get(&limits->regions.used), get(&limits->registered_bytes.used), get(&c.channels),
              get(&c.accepted), get(&c.rejected), get(&c.broken));
    ros2i_log(ROS2_LOG_INFO, "metrics",
              "reads %" PRIu64 " writes %" PRIu64 " fsyncs %" PRIu64 " bytes_read %" PRIu64
              " bytes_written %" PRIu64 " errors %" PRIu64 " replays %" PRIu64 " cancels %" PRIu64,
              get(&c.reads), get(&c.writes), get(&c.fsyncs), get(&c.bytes_read),
              get(&c.bytes_written), get(&c.errors), get(&c.replays), get(&c.cancels));
}
