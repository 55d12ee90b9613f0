# SPDX-License-Identifier: Apache-2.0
# ros2d. libdaemon.la is all of it but main(), for the tests.

noinst_LTLIBRARIES += libdaemon.la
libdaemon_la_SOURCES = \
	daemon/config.c \
	daemon/config.h \
	daemon/ephemeral.c \
	daemon/ephemeral.h \
	daemon/metrics.c \
	daemon/metrics.h \
	daemon/tenant/tenant.c \
	daemon/tenant/tenant.h \
	daemon/tenant/token.c \
	daemon/tenant/token.h \
	daemon/tenant/sessions.c \
	daemon/tenant/sessions.h \
	daemon/tenant/handles.c \
	daemon/tenant/handles.h \
	daemon/tenant/regions.c \
	daemon/tenant/regions.h \
	daemon/tenant/limits.c \
	daemon/tenant/limits.h \
	daemon/control/server.c \
	daemon/control/server.h \
	daemon/control/call.c \
	daemon/control/call.h \
	daemon/control/auth.c \
	daemon/control/auth.h \
	daemon/control/session.c \
	daemon/control/session.h \
	daemon/control/namespace.c \
	daemon/control/namespace.h \
	daemon/control/memory.c \
	daemon/control/memory.h \
	daemon/control/health.c \
	daemon/control/health.h \
	daemon/control/replay.c \
	daemon/control/replay.h \
	daemon/data/thread.c \
	daemon/data/thread.h \
	daemon/data/mailbox.c \
	daemon/data/mailbox.h \
	daemon/data/connection.c \
	daemon/data/connection.h \
	daemon/data/request.c \
	daemon/data/request.h \
	daemon/data/read.c \
	daemon/data/read.h \
	daemon/data/write.c \
	daemon/data/write.h \
	daemon/data/bounce.c \
	daemon/data/bounce.h \
	daemon/data/queue_state.c \
	daemon/data/queue_state.h \
	daemon/data/engines.c \
	daemon/data/engines.h
libdaemon_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libdaemon_la_LIBADD = $(GRPC_LIBS) $(PROTOBUF_C_LIBS) $(CRYPTO_LIBS) $(CYAML_LIBS)
$(libdaemon_la_OBJECTS): | $(proto_headers)

bin_PROGRAMS += ros2d
ros2d_SOURCES = daemon/main.c
ros2d_CFLAGS = $(program_cflags)
ros2d_LDFLAGS = $(program_ldflags)
ros2d_LDADD = libdaemon.la libtls_issue.la libprotocol.la libros2proto.la libbase.la
