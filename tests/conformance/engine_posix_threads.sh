#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The engine suite on posix, all I/O by threads, paths walked by our own code.
export ROS2_TEST_ENGINE=posix ROS2_TEST_ENGINE_CONFIG=io=threads,confine=walk
exec "$abs_top_builddir/tests/conformance/engine_suite"
