#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes ./configure out of configure.ac.
set -e
cd "$(dirname "$0")"
exec autoreconf -fi "$@"
