#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The client's promises hold on libfabric as on tcp: the same programs again, over its provider tcp.
. "$abs_top_srcdir/tests/integration/on_transport"
programs=(client_files client_queue client_stopped)
# These wait for deadlines: a minute, for which the sanitizers' builds have them on tcp.
[ -n "${SANITIZER_FLAGS-}" ] || programs+=(client_faults client_queue_ends)
forking=(client_parallel client_fork client_buffers client_queue_loop client_batch)
# As in on_keyed.sh: gcc 12's ThreadSanitizer takes a child's worker for its parent's.
[[ ${SANITIZER_FLAGS-} == *thread* ]] || programs+=("${forking[@]}")
unset ROS2_TEST_STOPS ROS2_TEST_FORKS # once is enough for those
on_transport ofi+tcp "libfabric's tcp" "${programs[@]}"
