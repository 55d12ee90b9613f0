/* SPDX-License-Identifier: Apache-2.0 */
/** libros2: POSIX-style object storage for training and inference. The umbrella header. */
#ifndef ROS2_ROS2_H
#define ROS2_ROS2_H

#include <ros2/batch.h>
#include <ros2/buffer.h>
#include <ros2/client.h>
#include <ros2/file.h>
#include <ros2/index.h>
#include <ros2/namespace.h>
#include <ros2/queue.h>
#include <ros2/version.h>

#endif
