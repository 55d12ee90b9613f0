/* SPDX-License-Identifier: Apache-2.0 */
/* Is the session's own daemon behind an endpoint that is named by a path? */
#ifndef ROS2I_PROBE_H
#define ROS2I_PROBE_H

#include "lib/core/client.h"

/* Makes a data channel with client->ops and ends it again; client is in the registry. Blocks until the daemon has proved
 * itself, the first attempt has failed, or the deadline. 0, or the cause, with a text. */
int ros2i_probe(struct ros2_client *client, uint64_t deadline_ns);

#endif
