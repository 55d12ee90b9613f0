# SPDX-License-Identifier: Apache-2.0
# The API, and libros2 itself. libcore.la is apart so that tests reach what libros2.so does not export.

noinst_LTLIBRARIES += libcore.la
libcore_la_SOURCES = \
	lib/core/async.c \
	lib/core/batch.c \
	lib/core/batch_read.c \
	lib/core/buffer.c \
	lib/core/client.c \
	lib/core/closing.c \
	lib/core/dir.c \
	lib/core/drive.c \
	lib/core/endpoints.c \
	lib/core/file.c \
	lib/core/file_op.c \
	lib/core/fork.c \
	lib/core/implicit.c \
	lib/core/index.c \
	lib/core/index_file.c \
	lib/core/listing.c \
	lib/core/namespace.c \
	lib/core/open_flags.c \
	lib/core/path.c \
	lib/core/postbox.c \
	lib/core/prepare.c \
	lib/core/probe.c \
	lib/core/progress.c \
	lib/core/queue.c \
	lib/core/ready.c \
	lib/core/registration.c \
	lib/core/registry.c \
	lib/core/networks.c \
	lib/core/setting_sources.c \
	lib/core/settings.c \
	lib/core/settings_file.c \
	lib/core/spin.c \
	lib/core/transports.c \
	lib/core/unsynced.c \
	lib/core/url.c \
	lib/core/worker.c
libcore_la_LIBADD = $(CYAML_LIBS)

lib_LTLIBRARIES += libros2.la
libros2_la_SOURCES =
libros2_la_LIBADD = libcore.la libcontrol.la libdata.la libprotocol.la libros2proto.la libbase.la
# nodelete: threads that end and processes that fork call into the library after a dlclose().
libros2_la_LDFLAGS = $(AM_LDFLAGS) $(DEFS_LDFLAGS) -version-info $(ROS2_LT_VERSION) -Wl,-z,nodelete \
	-Wl,--version-script=$(srcdir)/lib/libros2.map
EXTRA_libros2_la_DEPENDENCIES = lib/libros2.map
EXTRA_DIST += lib/libros2.map
