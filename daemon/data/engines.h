/* SPDX-License-Identifier: Apache-2.0 */
/* The configured engine with the layers over it. */
#ifndef ROS2D_ENGINES_H
#define ROS2D_ENGINES_H

#include "daemon/config.h"
#include "ros2/engine.h"

struct ros2d_engines;

/* Loads and opens the engine, then each layer over what is below it, in the order of the configuration. The errors of the
 * plugins and of the loader. */
int ros2d_engines_open(const struct ros2d_config *config, struct ros2d_engines **engines_p);
/* Roots and contexts are closed before. */
void ros2d_engines_close(struct ros2d_engines *engines);
/* The top: what tenants and data threads use. */
const struct ros2_engine_ops *ros2d_engines_ops(const struct ros2d_engines *engines);
struct ros2_engine *ros2d_engines_engine(const struct ros2d_engines *engines);

#endif
