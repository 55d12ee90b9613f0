# SPDX-License-Identifier: Apache-2.0
# Nothing above it: error, log, clock, random, timers, plugin loader. Used by library, daemon and tests.

noinst_LTLIBRARIES += libbase.la
libbase_la_SOURCES = \
	lib/base/clock.c \
	lib/base/error.c \
	lib/base/escape.c \
	lib/base/histogram.c \
	lib/base/log.c \
	lib/base/pem.c \
	lib/base/plugin.c \
	lib/base/signals.c \
	lib/base/random.c \
	lib/base/secret.c \
	lib/base/shared_memory.c \
	lib/base/timers.c \
	lib/base/whole_file.c
libbase_la_CPPFLAGS = $(AM_CPPFLAGS) -DROS2_PLUGIN_DIR='"$(pkglibdir)"'
libbase_la_LIBADD = $(CRYPTO_LIBS)
