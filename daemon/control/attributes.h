/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes into their message. */
#ifndef ROS2D_ATTRIBUTES_H
#define ROS2D_ATTRIBUTES_H

#include "ros2/engine.h"
#include "ros2/v1/common.pb-c.h"

/* message: the caller's memory, any content. */
void ros2d_attributes_fill(Ros2__V1__Attributes *message, const struct ros2_attr *attr);

#endif
