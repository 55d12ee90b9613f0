#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# transport_process on transport ofi+tcp.
export ROS2_TEST_TRANSPORT=ofi+tcp
exec "$abs_top_builddir/tests/conformance/transport_process"
