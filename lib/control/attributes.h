/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes from their message. */
#ifndef ROS2I_ATTRIBUTES_H
#define ROS2I_ATTRIBUTES_H

#include "ros2/engine.h"
#include "ros2/v1/common.pb-c.h"

/* from NULL: all zero, for proto3 has no required fields. */
struct ros2_attr ros2i_attributes_take(const Ros2__V1__Attributes *from);

#endif
