/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of units out of a word. Owner: the channel's thread. */
#include "config.h"

#include "lib/data/bounce.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

static uint64_t run_of(unsigned units)
{
    return units == ROS2I_BOUNCE_UNITS ? UINT64_MAX : (1ull << units) - 1;
}

/* All of it is one file's: nothing had to be replaced, as nothing ever is without a view. */
static bool is_whole(const struct ros2i_bounce *pool, struct ros2i_shared_view *view)
{
    return !view || ros2i_shared_view_run(view, pool->base, ROS2I_BOUNCE_MAX) == ROS2I_BOUNCE_MAX;
}

int ros2i_bounce_make(struct ros2i_bounce *pool, struct ros2i_shared_view *view)
{
    if (pool->base && is_whole(pool, view))
        return 0;
    if (pool->leased)
        return -EAGAIN;
    ros2i_bounce_fini(pool);
    void *base;
    int rc = ros2i_shared_alloc(ROS2I_BOUNCE_MAX, 0, -1, &base);
    if (rc == 0)
        pool->base = base;
    return rc;
}

/* The lowest run of that many free units: low ones stay warm in the cache. */
static int find_run(uint64_t leased, unsigned units)
{
    uint64_t run = run_of(units);
    unsigned at = 0;
    while (at + units <= ROS2I_BOUNCE_UNITS) {
        uint64_t taken = leased & (run << at);
        if (!taken)
            return (int)at;
        at = ROS2I_BOUNCE_UNITS - (unsigned)__builtin_clzll(taken); /* behind the last one taken */
    }
    return -1;
}

int ros2i_bounce_take(struct ros2i_bounce *pool, struct ros2i_shared_view *view, size_t len,
                      struct ros2i_bounce_lease *lease_p)
{
    assert(len > 0 && len <= ROS2I_BOUNCE_MAX);
    int rc = ros2i_bounce_make(pool, view);
    if (rc < 0)
        return rc;
    unsigned units = (unsigned)((len - 1) / ROS2I_BOUNCE_UNIT) + 1;
    int first = find_run(pool->leased, units);
    if (first < 0)
        return -EAGAIN;
    pool->leased |= run_of(units) << first;
    *lease_p = (struct ros2i_bounce_lease){(uint8_t)first, (uint8_t)units};
    return 0;
}

void ros2i_bounce_give(struct ros2i_bounce *pool, struct ros2i_bounce_lease *lease)
{
    if (lease->units == 0)
        return;
    uint64_t run = run_of(lease->units) << lease->first;
    assert((pool->leased & run) == run);
    pool->leased &= ~run;
    lease->units = 0;
}

void ros2i_bounce_fini(struct ros2i_bounce *pool)
{
    if (pool->base)
        ros2i_shared_free(pool->base, ROS2I_BOUNCE_MAX);
    *pool = (struct ros2i_bounce){0};
}
