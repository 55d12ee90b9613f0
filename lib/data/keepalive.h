/* SPDX-License-Identifier: Apache-2.0 */
/* Notices a dead peer, whatever the transport does: while requests wait for an answer and nothing is heard for 2 s, PING
 * is sent; after three that stay unanswered (8 s of silence) the connection is given up. Owner: the channel's thread. */
#ifndef ROS2I_KEEPALIVE_H
#define ROS2I_KEEPALIVE_H

#include <stdbool.h>

#include "lib/data/channel.h"

void ros2i_keepalive_reset(struct ros2i_channel *ch);     /* READY begins */
void ros2i_keepalive_heard(struct ros2i_channel *ch);     /* any message came */
void ros2i_keepalive_submitted(struct ros2i_channel *ch); /* an operation was submitted */
/* The channel was silent so long that it has to be looked at before more is sent on it. */
bool ros2i_keepalive_stale(const struct ros2i_channel *ch);
/* In READY when timer_ns is due; called by step() only. */
enum ros2i_channel_state ros2i_keepalive_tick(struct ros2i_channel *ch);

#endif
