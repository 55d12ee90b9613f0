# SPDX-License-Identifier: Apache-2.0
# The gRPC client.

noinst_LTLIBRARIES += libcontrol.la
libcontrol_la_SOURCES = \
	lib/control/attributes.c \
	lib/control/call.c \
	lib/control/credentials.c \
	lib/control/explain.c \
	lib/control/leftover.c \
	lib/control/list.c \
	lib/control/memory.c \
	lib/control/namespace.c \
	lib/control/runtime.c \
	lib/control/session.c
libcontrol_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libcontrol_la_LIBADD = $(GRPC_LIBS) $(PROTOBUF_C_LIBS) $(CRYPTO_LIBS)
$(libcontrol_la_OBJECTS): | $(proto_headers)
