/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane as main and the control plane see it. */
#ifndef ROS2D_DATA_H
#define ROS2D_DATA_H

#include "daemon/data/counters.h"
#include "daemon/state.h"

struct ros2d_data;

/* Starts the data threads and fills state->endpoint. Installs itself as the sessions' on_close. Blocks until they
 * listen. */
int ros2d_data_start(struct ros2d_state *state, struct ros2d_data **data_p);
/* Drains: accepts nothing new, lets what is in flight end until deadline_ns, then closes channels and joins. */
void ros2d_data_stop(struct ros2d_data *data, uint64_t deadline_ns);
/* Adds what all threads have counted so far. Threads: any, until stop. */
void ros2d_data_counters(const struct ros2d_data *data, struct ros2d_counters *sum);

#endif
