#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The client's promises hold on a transport with keys and without tokens as on tcp: the same programs again, over a stand-in.
tests=$abs_top_builddir/tests/integration
programs=(client_files client_faults client_queue client_queue_ends client_stopped)
forking=(client_parallel client_fork client_buffers client_queue_loop client_batch)
# A worker thread runs here whenever a program forks. gcc 12's ThreadSanitizer may take the child's own worker, which the C library
# gives the same address, for the parent's ("dup thread with used id"), and end the child.
[[ ${SANITIZER_FLAGS-} == *thread* ]] || programs+=("${forking[@]}")
unset ROS2_TEST_STOPS ROS2_TEST_FORKS # once is enough for those
export ROS2_TEST_TRANSPORT=keyed CMOCKA_MESSAGE_OUTPUT=TAP ROS2_PLUGIN_PATH="$tests/.libs:$ROS2_PLUGIN_PATH"
out=$(mktemp) || exit 99
trap 'rm -f "$out"' EXIT
echo "1..${#programs[@]}"
n=0 status=0
for program in "${programs[@]}"; do
    n=$((n + 1))
    if "$tests/$program" >"$out" 2>&1; then
        echo "ok $n - $program on a transport with keys"
    else
        echo "not ok $n - $program on a transport with keys"
        sed 's/^/# /' "$out"
        status=1
    fi
done
exit $status
