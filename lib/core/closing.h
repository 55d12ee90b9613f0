/* SPDX-License-Identifier: Apache-2.0 */
/* Handles that are to be closed while nobody waits for it. */
#ifndef ROS2I_CLOSING_H
#define ROS2I_CLOSING_H

#include "lib/core/client.h"
#include "lib/core/queue.h"

struct ros2i_closing;

/* Room for count handles, 1..ROS2I_WIRE_CLOSES_MAX: made before they are opened, so that closing them cannot fail for want of
 * it. 0 or -ENOMEM. */
int ros2i_closing_create(struct ros2_client *client, size_t count,
                         struct ros2i_closing **closing_p);
/* At most as many as there is room for. */
void ros2i_closing_add(struct ros2i_closing *closing, uint64_t handle);
/* Has the daemon close them, and frees closing. Calling thread's queue. Does not block while that has its connection, else for half
 * a second at most. What the daemon cannot be told now is tried again with the client's next one, and ends with the session. */
void ros2i_closing_start(struct ros2i_queue *queue, struct ros2i_closing *closing);
/* The client ends, no queue of it is left. */
void ros2i_closing_forget(struct ros2_client *client);

#endif
