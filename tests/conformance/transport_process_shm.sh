#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# transport_process on transport shm.
export ROS2_TEST_TRANSPORT=shm
exec "$abs_top_builddir/tests/conformance/transport_process"
