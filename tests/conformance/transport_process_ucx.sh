#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# transport_process on transport ucx+tcp.
export ROS2_TEST_TRANSPORT=ucx+tcp
exec "$abs_top_builddir/tests/conformance/transport_process"
