# SPDX-License-Identifier: Apache-2.0
# Engine posix: a plugin, so it links nothing of ours; services come through the host struct.

pkglib_LTLIBRARIES += ros2_engine_posix.la
ros2_engine_posix_la_SOURCES = \
	engines/posix/context.c \
	engines/posix/dir.c \
	engines/posix/file.c \
	engines/posix/namespace.c \
	engines/posix/plugin.c \
	engines/posix/pool.c \
	engines/posix/ring.c \
	engines/posix/root.c \
	engines/posix/walk.c
ros2_engine_posix_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_engine_plugin$$'
ros2_engine_posix_la_CPPFLAGS = $(AM_CPPFLAGS) $(URING_CFLAGS)
ros2_engine_posix_la_LIBADD = $(URING_LIBS)
