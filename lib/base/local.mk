# SPDX-License-Identifier: Apache-2.0
# Nothing above it: error, log, clock, random, timers, plugin loader. Used by library, daemon and tests.

noinst_LTLIBRARIES += libbase.la
libbase_la_SOURCES = \
	lib/base/clock.c \
	lib/base/clock.h \
	lib/base/error.c \
	lib/base/error.h \
	lib/base/histogram.c \
	lib/base/histogram.h \
	lib/base/log.c \
	lib/base/log.h \
	lib/base/plugin.c \
	lib/base/plugin.h \
	lib/base/random.c \
	lib/base/random.h \
	lib/base/secret.c \
	lib/base/secret.h \
	lib/base/timers.c \
	lib/base/timers.h
libbase_la_CPPFLAGS = $(AM_CPPFLAGS) -DROS2_PLUGIN_DIR='"$(pkglibdir)"'
