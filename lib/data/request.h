/* SPDX-License-Identifier: Apache-2.0 */
/* Operations to request messages. Owner: the channel's thread. */
#ifndef ROS2I_REQUEST_H
#define ROS2I_REQUEST_H

#include "lib/data/channel.h"

/* In READY: sends what is queued (replays first), then cuts pieces off the pending operations while there are credits, and
 * flushes. Never allocates. May lose the channel. Returns how many requests left. */
int ros2i_request_issue(struct ros2i_channel *ch);

/* How an exposed slot's request names its memory. */
struct ros2i_segment ros2i_request_segment(const struct ros2i_channel *ch,
                                           const struct ros2i_slot *slot);

#endif
