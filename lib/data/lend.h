/* SPDX-License-Identifier: Apache-2.0 */
/* What ends while a channel is lent to another thread than its owner: it is the owner that has to be told. */
#ifndef ROS2I_LEND_H
#define ROS2I_LEND_H

#include "lib/data/channel.h"

/* The owner, or who destroys the channel: done() for what has ended meanwhile. Returns how many. */
int ros2i_lend_end_settled(struct ros2i_channel *ch);

#endif
