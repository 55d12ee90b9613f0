#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The engine suite on posix as the kernel allows it.
export ROS2_TEST_ENGINE=posix ROS2_TEST_ENGINE_CONFIG=io=auto,confine=auto
exec "$abs_top_builddir/tests/conformance/engine_suite"
