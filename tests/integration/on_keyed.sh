#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The client's promises hold on a transport with keys and without tokens as on tcp: the same programs again, over a stand-in.
. "$abs_top_srcdir/tests/integration/on_transport"
programs=(client_files client_faults client_queue client_queue_ends client_stopped)
forking=(client_parallel client_fork client_buffers client_queue_loop client_batch)
# A worker thread runs here whenever a program forks. gcc 12's ThreadSanitizer may take the child's own worker, which the C library
# gives the same address, for the parent's ("dup thread with used id"), and end the child.
[[ ${SANITIZER_FLAGS-} == *thread* ]] || programs+=("${forking[@]}")
unset ROS2_TEST_STOPS ROS2_TEST_FORKS # once is enough for those
export ROS2_PLUGIN_PATH="$abs_top_builddir/tests/integration/.libs:$ROS2_PLUGIN_PATH"
on_transport keyed "a transport with keys" "${programs[@]}"
