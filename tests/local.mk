# SPDX-License-Identifier: Apache-2.0
# How tests run. Programs are cmocka groups, scripts (.sh, .py) print TAP; each case counts as one result.

# What a test program links. The default (LDADD) is all of the library, also what libros2.so hides; say
#   tests_unit_wire_test_LDADD = $(test_protocol)
# for a test that should build without the rest.
test_base = libbase.la $(CMOCKA_LIBS)
test_protocol = libprotocol.la libbase.la $(CMOCKA_LIBS)
test_library = libcore.la libcontrol.la libdata.la libprotocol.la libros2proto.la libbase.la $(CMOCKA_LIBS)
test_daemon = libdaemon.la libtls_issue.la libprotocol.la libros2proto.la libbase.la $(CMOCKA_LIBS)
test_public = libros2.la $(CMOCKA_LIBS)
LDADD = $(test_library)

TEST_EXTENSIONS = .sh .py
tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(tap_driver)
SH_LOG_DRIVER = $(tap_driver)
PY_LOG_DRIVER = $(tap_driver)
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/tap-wrapper
SH_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/tap-wrapper /bin/bash
PY_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/tap-wrapper /usr/bin/python3

# Before installation the plugins are in libtool's folder.
AM_TESTS_ENVIRONMENT = \
	ROS2_PLUGIN_PATH='$(abs_top_builddir)/.libs'; export ROS2_PLUGIN_PATH; \
	ROS2D='$(abs_top_builddir)/ros2d'; export ROS2D; \
	ROS2CTL='$(abs_top_builddir)/ros2ctl'; export ROS2CTL; \
	SANITIZER_FLAGS='$(SANITIZER_FLAGS)'; export SANITIZER_FLAGS; \
	CC='$(CC)'; export CC; \
	abs_top_builddir='$(abs_top_builddir)'; export abs_top_builddir; \
	abs_top_srcdir='$(abs_top_srcdir)'; export abs_top_srcdir;

TESTS += tests/lint/symbols.sh
EXTRA_DIST += \
	.clang-format \
	install-deps \
	tests/allowed-skips \
	tests/consumer/consumer.c \
	tests/consumer/run \
	tests/lint/files \
	tests/lint/format \
	tests/lint/includes \
	tests/lint/spdx \
	tests/lint/symbols.sh \
	tests/mutants/run \
	tests/tap-wrapper \
	tests/tsan.supp \
	$(wildcard $(srcdir)/tests/mutants/*.patch)
