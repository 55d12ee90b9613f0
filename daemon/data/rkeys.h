/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection remembers of the regions that its requests name: the imported key, and what was registered, so that a
 * region is looked up and copied once and not for each request. Owner: the connection's thread. */
#ifndef ROS2D_RKEYS_H
#define ROS2D_RKEYS_H

#include <stdint.h>

#include "daemon/tenant/regions.h"
#include "ros2/transport.h"

/* So many regions of one connection are remembered at once, and so can be in use. */
#define ROS2D_RKEYS_MAX 3072u

struct ros2d_rkey {
    uint64_t region_id; /* an id is never used again, so neither is a stale key */
    uint64_t len;
    uint32_t rights;
    uint32_t users; /* segments of requests under way */
    struct ros2_rkey *rkey;
};

/* Zeros are an empty one. A key in use stays; others go when their region has been revoked, or room is short. */
struct ros2d_rkeys {
    struct ros2d_rkey **slot; /* hashed, made when first needed */
    uint32_t capacity, count;
    uint64_t factor; /* of the hash: a client that chooses which regions to use does not know it */
    uint32_t turns;  /* calls of renew since it looked at all of them */
    uint64_t revision; /* of the regions, as it did */
};

/* NULL: not remembered. */
struct ros2d_rkey *ros2d_rkeys_find(const struct ros2d_rkeys *rkeys, uint64_t region_id);
/* Imports the key of a region that is not remembered. 0, -ENOBUFS, -EINVAL (it is no key) with a text. */
int ros2d_rkeys_add(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops,
                    struct ros2_ep *ep, const struct ros2d_regions *regions,
                    const struct ros2d_region *region, struct ros2d_rkey **key_p);
/* To be called for each request: forgets now and then which regions have been revoked. */
void ros2d_rkeys_renew(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops,
                       const struct ros2d_regions *regions);
/* Before the endpoint goes. */
void ros2d_rkeys_fini(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops);

#endif
