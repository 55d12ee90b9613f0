# SPDX-License-Identifier: Apache-2.0
# Library and daemon together, one program or script per promise.
# A new program is a line in integration_programs (and maybe an _LDADD, see tests/local.mk); a new script is a line in
# integration_scripts.

integration_programs =

integration_scripts = \
	tests/integration/ctl_output.py \
	tests/integration/ctl_tls.py \
	tests/integration/ctl_transfer.py \
	tests/integration/hostile_ports.py \
	tests/integration/readme.sh

if HAVE_CMOCKA
check_PROGRAMS += $(integration_programs)
TESTS += $(integration_programs)
endif
TESTS += $(integration_scripts)
EXTRA_DIST += $(integration_scripts) tests/integration/ctl_harness.py
