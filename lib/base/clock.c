/* SPDX-License-Identifier: Apache-2.0 */
/* The system's clocks, or those a test put in their place. Any thread; never blocks. */
#include "config.h"

#include "lib/base/clock.h"

#include <stdatomic.h>
#include <time.h>

typedef uint64_t now_fn(void);
typedef int64_t wall_fn(void);

/* Relaxed: a test injects before it starts the threads that read. */
static _Atomic(now_fn *) injected_now;
static _Atomic(wall_fn *) injected_wall;

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts); /* cannot fail for these two ids and a valid pointer */
    return (uint64_t)ts.tv_sec * ROS2I_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t ros2i_now_ns(void)
{
    now_fn *now = atomic_load_explicit(&injected_now, memory_order_relaxed);

    return now ? now() : read_clock(CLOCK_MONOTONIC);
}

int64_t ros2i_wall_clock_ns(void)
{
    wall_fn *wall = atomic_load_explicit(&injected_wall, memory_order_relaxed);

    return wall ? wall() : (int64_t)read_clock(CLOCK_REALTIME);
}

void ros2i_clock_inject(uint64_t (*now_ns)(void), int64_t (*wall_ns)(void))
{
    atomic_store_explicit(&injected_now, now_ns, memory_order_relaxed);
    atomic_store_explicit(&injected_wall, wall_ns, memory_order_relaxed);
}
