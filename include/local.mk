# SPDX-License-Identifier: Apache-2.0
# Installed headers.

ros2includedir = $(includedir)/ros2
ros2include_HEADERS = \
	include/ros2/batch.h \
	include/ros2/buffer.h \
	include/ros2/client.h \
	include/ros2/engine.h \
	include/ros2/file.h \
	include/ros2/index.h \
	include/ros2/namespace.h \
	include/ros2/plugin.h \
	include/ros2/queue.h \
	include/ros2/ros2.h \
	include/ros2/transport.h
nodist_ros2include_HEADERS = include/ros2/version.h
