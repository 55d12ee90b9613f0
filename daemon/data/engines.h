/* SPDX-License-Identifier: Apache-2.0 */
/* The configured engine with its layers, bottom up. Owner: main. */
#ifndef ROS2D_ENGINES_H
#define ROS2D_ENGINES_H

#include "daemon/config.h"
#include "ros2/engine.h"

#define ROS2D_ENGINES_MAX 8 /* the engine and its layers */

struct ros2d_engines {
    unsigned count;
    const struct ros2_engine_ops *ops[ROS2D_ENGINES_MAX];
    struct ros2_engine *engine[ROS2D_ENGINES_MAX]; /* the last is the top: what tenants use */
};

/* Loads and opens config->engine. 0, or -errno with a text that names the engine or layer; nothing is open then. */
int ros2d_engines_open(const struct ros2d_config *config, struct ros2d_engines *engines);
void ros2d_engines_close(struct ros2d_engines *engines);

#endif
