/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of the running daemon as log lines. */
#ifndef ROS2D_METRICS_H
#define ROS2D_METRICS_H

#include "daemon/data/data.h"

/* Two lines at level info. Any thread. */
void ros2d_metrics_log(const struct ros2d_state *state, const struct ros2d_data *data);

#endif
