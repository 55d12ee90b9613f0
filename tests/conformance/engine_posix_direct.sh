#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The engine suite on posix, aligned reads past the page cache.
export ROS2_TEST_ENGINE=posix ROS2_TEST_ENGINE_CONFIG=direct=reads
exec "$abs_top_builddir/tests/conformance/engine_suite"
