/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a channel's own, for data whose place in the application the daemon cannot reach: shared, where it maps memory;
 * registered for the channel's life, where the transport has keys and no tokens. Owner: the channel's thread.
 *
 * 64 units in one mapping, leased in runs: one word says what is free. A lease ends when its region is hidden or, of registered
 * memory, when the request is answered or its connection gone: a unit where something may still land is not leased again.
 * Where pages had to be replaced under the pool, it is made anew once its last lease has ended. */
#ifndef ROS2I_BOUNCE_H
#define ROS2I_BOUNCE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/shared_memory.h"

/* All units together, 4 MiB, are as much as 4096 files of a KiB need (ros2_batch_read), so that one round trip brings them. */
#define ROS2I_BOUNCE_UNIT  (64u << 10)
#define ROS2I_BOUNCE_UNITS 64u
#define ROS2I_BOUNCE_MAX   (ROS2I_BOUNCE_UNIT * ROS2I_BOUNCE_UNITS)

struct ros2i_bounce {
    char *base; /* NULL: not needed yet */
    uint64_t leased;
};

struct ros2i_bounce_lease {
    uint8_t first, units; /* units 0: none */
};

/* view: NULL where the transport takes any memory. len: 1..ROS2I_BOUNCE_MAX. 0; -EAGAIN: no run of units is free until a
 * lease ends; -ENOMEM, -EMFILE. */
int ros2i_bounce_take(struct ros2i_bounce *pool, struct ros2i_shared_view *view, size_t len,
                      struct ros2i_bounce_lease *lease_p);
/* Makes the pool, whose memory then stays where it is without a view. 0, -ENOMEM, -EMFILE. */
int ros2i_bounce_make(struct ros2i_bounce *pool, struct ros2i_shared_view *view);
void ros2i_bounce_give(struct ros2i_bounce *pool, struct ros2i_bounce_lease *lease);
/* No lease is left that anybody uses. */
void ros2i_bounce_fini(struct ros2i_bounce *pool);

static inline char *ros2i_bounce_addr(const struct ros2i_bounce *pool,
                                      struct ros2i_bounce_lease lease)
{
    return pool->base + (size_t)lease.first * ROS2I_BOUNCE_UNIT;
}

#endif
