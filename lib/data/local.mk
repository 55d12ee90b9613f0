# SPDX-License-Identifier: Apache-2.0
# The data-plane client.

noinst_LTLIBRARIES += libdata.la
libdata_la_SOURCES = \
	lib/data/channel.c \
	lib/data/channel.h \
	lib/data/handshake.c \
	lib/data/handshake.h \
	lib/data/inflight.c \
	lib/data/inflight.h \
	lib/data/quiesce.c \
	lib/data/quiesce.h \
	lib/data/reconnect.c \
	lib/data/reconnect.h \
	lib/data/reply.c \
	lib/data/reply.h \
	lib/data/request.c \
	lib/data/request.h
