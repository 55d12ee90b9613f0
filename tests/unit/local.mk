# SPDX-License-Identifier: Apache-2.0
# One program per source file, NAME_test.c. A new program is a line in unit_programs (and maybe an
# _LDADD, see tests/local.mk); a new script is a line in unit_scripts.

unit_programs =

unit_scripts =

if HAVE_CMOCKA
check_PROGRAMS += $(unit_programs)
TESTS += $(unit_programs)
endif
TESTS += $(unit_scripts)
EXTRA_DIST += $(unit_scripts)
