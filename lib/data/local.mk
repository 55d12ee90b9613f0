# SPDX-License-Identifier: Apache-2.0
# The data-plane client.

noinst_LTLIBRARIES += libdata.la
libdata_la_SOURCES = \
	lib/data/bounce.c \
	lib/data/channel.c \
	lib/data/handshake.c \
	lib/data/inflight.c \
	lib/data/keepalive.c \
	lib/data/lend.c \
	lib/data/op.c \
	lib/data/quiesce.c \
	lib/data/reconnect.c \
	lib/data/registered.c \
	lib/data/reply.c \
	lib/data/request.c \
	lib/data/vector.c
