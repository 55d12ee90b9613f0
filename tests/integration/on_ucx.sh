#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The client's promises hold on UCX as on tcp: the same programs again, over its tcp.
. "$abs_top_srcdir/tests/integration/on_transport"
export ROS2_TRANSPORT=ucx+tcp # nothing else makes a client trust the network
programs=(client_files client_queue client_stopped)
# As in on_ofi.sh.
[ -n "${SANITIZER_FLAGS-}" ] || programs+=(client_faults client_queue_ends)
unset ROS2_TEST_STOPS ROS2_TEST_FORKS # once is enough for those
on_transport ucx+tcp "UCX's tcp" "${programs[@]}"
