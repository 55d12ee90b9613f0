# SPDX-License-Identifier: Apache-2.0
# Certificates for ros2d --ephemeral and ros2ctl tls init.

noinst_LTLIBRARIES += libtls_issue.la
libtls_issue_la_SOURCES = \
	lib/tls/issue.c \
	lib/tls/issue.h
libtls_issue_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
