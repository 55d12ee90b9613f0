# SPDX-License-Identifier: Apache-2.0
# ros2d. libdaemon.la is all of it but main(), for the tests.

# In this folder #include "config.h" finds daemon/config.h, so configure's is included from here.
daemon_cppflags = -include $(top_builddir)/config.h $(AM_CPPFLAGS)

noinst_LTLIBRARIES += libdaemon.la
libdaemon_la_SOURCES = \
	daemon/config.c \
	daemon/config_check.c \
	daemon/config_line.c \
	daemon/config_yaml.c \
	daemon/descriptors.c \
	daemon/descriptors.h \
	daemon/ephemeral.c \
	daemon/metrics.c \
	daemon/tenant/tenant.c \
	daemon/tenant/token.c \
	daemon/tenant/sessions.c \
	daemon/tenant/handles.c \
	daemon/tenant/regions.c \
	daemon/tenant/limits.c \
	daemon/control/server.c \
	daemon/control/listen.c \
	daemon/control/call.c \
	daemon/control/arena.c \
	daemon/control/auth.c \
	daemon/control/status.c \
	daemon/control/session.c \
	daemon/control/namespace.c \
	daemon/control/path.c \
	daemon/control/attributes.c \
	daemon/control/list.c \
	daemon/control/memory.c \
	daemon/control/health.c \
	daemon/control/replay.c \
	daemon/data/arrive.c \
	daemon/data/bounce.c \
	daemon/data/connection.c \
	daemon/data/data.c \
	daemon/data/engines.c \
	daemon/data/handshake.c \
	daemon/data/lane.c \
	daemon/data/mailbox.c \
	daemon/data/part.c \
	daemon/data/queue_state.c \
	daemon/data/read.c \
	daemon/data/read_vector.c \
	daemon/data/request.c \
	daemon/data/rkeys.c \
	daemon/data/segments.c \
	daemon/data/thread.c \
	daemon/data/vector.c \
	daemon/data/write.c
libdaemon_la_CPPFLAGS = $(daemon_cppflags) $(CRYPTO_CFLAGS)
libdaemon_la_LIBADD = $(GRPC_LIBS) $(PROTOBUF_C_LIBS) $(CRYPTO_LIBS) $(CYAML_LIBS)
$(libdaemon_la_OBJECTS): | $(proto_headers)

bin_PROGRAMS += ros2d
ros2d_SOURCES = daemon/main.c
ros2d_CPPFLAGS = $(daemon_cppflags)
ros2d_CFLAGS = $(program_cflags)
ros2d_LDFLAGS = $(program_ldflags)
ros2d_LDADD = libdaemon.la libtls_issue.la libprotocol.la libros2proto.la libbase.la
