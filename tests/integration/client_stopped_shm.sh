#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# client_stopped on transport shm.
export ROS2_TEST_TRANSPORT=shm
exec "$abs_top_builddir/tests/integration/client_stopped"
