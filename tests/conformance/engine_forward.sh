#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The engine suite on layer forward over posix.
export ROS2_TEST_ENGINE=posix ROS2_TEST_ENGINE_CONFIG=io=auto ROS2_TEST_ENGINE_LAYERS=forward
exec "$abs_top_builddir/tests/conformance/engine_suite"
