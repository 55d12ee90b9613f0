#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The engine suite on posix, all reads and writes by io_uring.
export ROS2_TEST_ENGINE=posix ROS2_TEST_ENGINE_CONFIG=io=uring,confine=openat2
exec "$abs_top_builddir/tests/conformance/engine_suite"
