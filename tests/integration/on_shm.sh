#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The data plane's and the client's promises hold on shm as on tcp: the same programs again.
# Left out: what has nothing to do with a transport.
. "$abs_top_srcdir/tests/integration/on_transport"
on_transport shm shm data_handshake data_io data_fence data_rules client_connect client_files client_names client_shadow \
    client_parallel client_faults client_fork client_buffers
