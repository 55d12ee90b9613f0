/* SPDX-License-Identifier: Apache-2.0 */
/* errno to gRPC status, for clients that know nothing of ros2-error-bin. */
#ifndef ROS2D_STATUS_H
#define ROS2D_STATUS_H

#include <grpc/status.h>

/* err: positive errno. */
grpc_status_code ros2d_status_of(int err);

#endif
