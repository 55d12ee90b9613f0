/* SPDX-License-Identifier: Apache-2.0 */
/* The client's memory that a request names, checked and made ready for the transport. Owner: the connection's thread. */
#ifndef ROS2D_SEGMENTS_H
#define ROS2D_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/data/rkeys.h"
#include "lib/protocol/wire.h"
#include "ros2/transport.h"

struct ros2d_connection;

struct ros2d_segments {
    uint16_t count;
    uint16_t acquired; /* this many of region_id are held */
    struct ros2_remote remote[ROS2I_WIRE_SEGMENTS_MAX];
    uint64_t region_id[ROS2I_WIRE_SEGMENTS_MAX];
    struct ros2d_rkey *key[ROS2I_WIRE_SEGMENTS_MAX]; /* NULL: none */
};

/* right: enum ros2_region_right that the request needs. 0, or what the REPLY is to say: -EINVAL, -ENOENT, -EACCES, -ERANGE,
 * -ENOBUFS (too many regions at once). After an error nothing is held. */
int ros2d_segments_resolve(struct ros2d_connection *conn, const struct ros2i_segment *segment,
                           uint16_t count, uint32_t right, struct ros2d_segments *segments);
/* conn NULL: it is gone, and its keys with it. */
void ros2d_segments_release(struct ros2d_connection *conn, struct ros2d_regions *regions,
                            struct ros2d_segments *segments);
/* The pieces of [at, at + len) of the stream. Returns how many. */
int ros2d_segments_slice(const struct ros2d_segments *segments, uint64_t at, uint64_t len,
                         struct ros2_remote out[ROS2I_WIRE_SEGMENTS_MAX]);

#endif
