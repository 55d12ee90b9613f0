/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of requests and operations when a connection ends, and when the next one is tried.
 * Called by the channel's step() only, but for what says otherwise. Owner: the channel's thread. */
#ifndef ROS2I_RECONNECT_H
#define ROS2I_RECONNECT_H

#include "lib/data/channel.h"

/* Breaks the connection, takes back all that was exposed, queues the requests for replay, sets the backoff.
 * err < 0: why, with this thread's text. */
enum ros2i_channel_state ros2i_reconnect_lost(struct ros2i_channel *ch, int err);
/* The same, for good: every operation ends with err. */
enum ros2i_channel_state ros2i_reconnect_give_up(struct ros2i_channel *ch, int err);
enum ros2i_channel_state ros2i_reconnect_rejected(struct ros2i_channel *ch,
                                                  const struct ros2i_reject *reject);
enum ros2i_channel_state ros2i_reconnect_attached(struct ros2i_channel *ch, int rc);
/* READY was reached. */
void ros2i_reconnect_done(struct ros2i_channel *ch);

/* From progress() in FAILED: ends what was submitted since. Returns how many. */
int ros2i_reconnect_fail_all(struct ros2i_channel *ch);
/* The address in use or tried last, for texts. */
const char *ros2i_reconnect_address(const struct ros2i_channel *ch);

#endif
