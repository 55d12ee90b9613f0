#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The engine suite on posix without io_uring.
export ROS2_TEST_ENGINE=posix ROS2_TEST_ENGINE_CONFIG=io=nowait
exec "$abs_top_builddir/tests/conformance/engine_suite"
