/* SPDX-License-Identifier: Apache-2.0 */
/* When is a buffer its owner's again? Takes exposed memory back, and ends operations at their deadline.
 * Owner: the channel's thread. */
#ifndef ROS2I_QUIESCE_H
#define ROS2I_QUIESCE_H

#include "lib/data/channel.h"

/* How long an operation waits, past its deadline, for the daemon to acknowledge the cancel. */
uint64_t ros2i_quiesce_grace_ns(uint64_t now_ns, uint64_t deadline_ns);
/* Fired by an operation's timer: at its deadline, then at the end of the grace period. */
void ros2i_quiesce_due(struct ros2i_timer *timer);
/* op, in flight, is not wanted any more: as if its deadline had passed, but with -ECANCELED. */
void ros2i_quiesce_cancel(struct ros2i_channel *ch, struct ros2i_op *op);
/* Ends remote access to slot's memory, whose request has no answer. 0: it is over. -EBUSY: the peer is being sent bytes of it,
 * or others name its region; without a connection it is 0. */
int ros2i_quiesce_hide(struct ros2i_channel *ch, struct ros2i_slot *slot);
/* The daemon has answered, or never seen the request: the same, at any price. 0, or -EBUSY after the channel was lost for it;
 * the slot is then queued, free or abandoned. */
int ros2i_quiesce_force(struct ros2i_channel *ch, struct ros2i_slot *slot);
/* Is an operation in flight whose buffer overlaps [addr, addr + len)? */
bool ros2i_quiesce_uses(const struct ros2i_channel *ch, const void *addr, size_t len);
/* Ends all such operations, with -ECANCELED; breaks the connection for it. Nothing reaches their memory any more. */
void ros2i_quiesce_take_back(struct ros2i_channel *ch, const void *addr, size_t len);
/* Sets the text of an operation that got no answer in time, -ETIMEDOUT, or before it was cancelled, -ECANCELED. */
int ros2i_quiesce_timed_out(const struct ros2i_channel *ch, const struct ros2i_op *op);

#endif
