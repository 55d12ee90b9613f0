#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The data plane's and the client's promises hold on shm as on tcp: the same programs again.
# Left out: what has nothing to do with a transport.
tests=$abs_top_builddir/tests/integration
programs=(data_handshake data_io data_fence data_rules
    client_connect client_files client_names client_shadow client_parallel client_faults client_fork client_buffers)
export ROS2_TEST_TRANSPORT=shm CMOCKA_MESSAGE_OUTPUT=TAP
out=$(mktemp) || exit 99
trap 'rm -f "$out"' EXIT
echo "1..${#programs[@]}"
n=0 status=0
for program in "${programs[@]}"; do
    n=$((n + 1))
    if "$tests/$program" >"$out" 2>&1; then
        echo "ok $n - $program on shm"
    else
        echo "not ok $n - $program on shm"
        sed 's/^/# /' "$out"
        status=1
    fi
done
exit $status
