/* SPDX-License-Identifier: Apache-2.0 */
/* What a data thread counts. One writer each; relaxed: a reader wants figures, not an order. */
#ifndef ROS2D_COUNTERS_H
#define ROS2D_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct ros2d_counters {
    _Atomic uint64_t channels;                   /* proved, live */
    _Atomic uint64_t accepted, rejected, broken; /* broken: closed for what the peer sent */
    _Atomic uint64_t reads, writes, fsyncs, replays, cancels;
    _Atomic uint64_t vectors, extents; /* READVs, and the extents in them */
    _Atomic uint64_t closes;           /* handles in CLOSEs */
    _Atomic uint64_t bytes_read, bytes_written;
    _Atomic uint64_t errors; /* replies with a status */
};

static inline void ros2d_count(_Atomic uint64_t *counter, uint64_t n)
{
    /* Not an atomic addition: nobody else writes. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
