/* SPDX-License-Identifier: Apache-2.0 */
/* Namespace.List: a directory as a stream of pages. */
#ifndef ROS2D_LIST_H
#define ROS2D_LIST_H

#include "daemon/control/call.h"

int ros2d_list_handle(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p);
int ros2d_list_next(struct ros2d_call *call, ProtobufCMessage **reply_p);
void ros2d_list_end(struct ros2d_call *call);

#endif
