/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to completions. Owner: the channel's thread. */
#ifndef ROS2I_REPLY_H
#define ROS2I_REPLY_H

#include "lib/data/channel.h"

/* A decoded REPLY or PONG. 0, or -EPROTO with a text: the daemon broke the protocol, the connection must go. An answer to
 * a request that is not waited for any more is ignored. */
int ros2i_reply_handle(struct ros2i_channel *ch, const struct ros2i_msg *msg);

#endif
