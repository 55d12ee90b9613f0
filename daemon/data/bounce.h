/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that data passes through: equal units out of one mapping, leased to requests. Owner: one data thread. A
 * transport may have it registered for its own side of put and get; no peer has a right to it. */
#ifndef ROS2D_BOUNCE_H
#define ROS2D_BOUNCE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/data/list.h"

struct ros2d_lease {
    uint32_t first, units; /* units 0: none */
};

/* Waits in the order of asking. granted runs once, with the lease in place, from another's release or from wait itself;
 * it must not call the pool. */
struct ros2d_waiter {
    struct ros2d_list link;
    struct ros2d_lease lease;
    uint32_t *held;
    uint32_t units;
    void (*granted)(struct ros2d_waiter *waiter);
};

struct ros2d_bounce {
    char *base;
    size_t unit_len;
    uint32_t units, free;
    uint32_t cap;   /* what one holder (a connection) may have: a stuck one cannot take all */
    uint64_t *busy; /* a bit for each unit */
    struct ros2d_list waiting;
};

/* largest: the longest lease that anybody asks for. -ENOMEM, -EINVAL. */
int ros2d_bounce_init(struct ros2d_bounce *pool, size_t unit_len, uint32_t units, uint32_t largest);
void ros2d_bounce_fini(struct ros2d_bounce *pool); /* no lease and no waiter is left */

/* Units side by side, now or not at all: false when others wait, when there is no room, or when *held would pass the cap.
 * held: the holder's count, kept by the pool. */
bool ros2d_bounce_get(struct ros2d_bounce *pool, uint32_t units, uint32_t *held,
                      struct ros2d_lease *lease_p);
void ros2d_bounce_wait(struct ros2d_bounce *pool, struct ros2d_waiter *waiter, uint32_t units,
                       uint32_t *held);
/* Gives up waiting; also fine when it does not wait. */
void ros2d_bounce_unwait(struct ros2d_waiter *waiter);
/* Does anybody but this holder wait for units, and would get them if there were some? */
bool ros2d_bounce_is_wanted(const struct ros2d_bounce *pool, const uint32_t *held);
/* held NULL: its holder is gone. */
void ros2d_bounce_put(struct ros2d_bounce *pool, struct ros2d_lease lease, uint32_t *held);

static inline char *ros2d_bounce_addr(const struct ros2d_bounce *pool, struct ros2d_lease lease)
{
    return pool->base + (size_t)lease.first * pool->unit_len;
}

#endif
