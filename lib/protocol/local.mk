# SPDX-License-Identifier: Apache-2.0
# What both ends of the data plane speak.

noinst_LTLIBRARIES += libprotocol.la
libprotocol_la_SOURCES = \
	lib/protocol/checksum.c \
	lib/protocol/handshake_wire.c \
	lib/protocol/hmac.c \
	lib/protocol/proof.c \
	lib/protocol/request_wire.c \
	lib/protocol/vector_wire.c \
	lib/protocol/wire.c
libprotocol_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libprotocol_la_LIBADD = $(CRYPTO_LIBS) $(ISAL_LIBS)
