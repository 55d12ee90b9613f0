# SPDX-License-Identifier: Apache-2.0
# One suite per interface, run on every plugin: transport_TOPIC.c, engine_TOPIC.c.
# A new program is a line in conformance_programs (and maybe an _LDADD, see tests/local.mk); a new script is a line in
# conformance_scripts.

conformance_programs =

conformance_scripts =

if HAVE_CMOCKA
check_PROGRAMS += $(conformance_programs)
TESTS += $(conformance_programs)
endif
TESTS += $(conformance_scripts)
EXTRA_DIST += $(conformance_scripts)
