# SPDX-License-Identifier: Apache-2.0
# Engines that stand on another engine.

pkglib_LTLIBRARIES += ros2_engine_forward.la
ros2_engine_forward_la_SOURCES = \
	engines/layers/forward.c \
	engines/layers/pass.c
ros2_engine_forward_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_engine_plugin$$'

pkglib_LTLIBRARIES += ros2_engine_fault.la
ros2_engine_fault_la_SOURCES = \
	engines/layers/fault.c \
	engines/layers/pass.c \
	engines/layers/rules.c
ros2_engine_fault_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_engine_plugin$$'
