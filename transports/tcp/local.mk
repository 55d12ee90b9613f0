# SPDX-License-Identifier: Apache-2.0
# Transport tcp: a plugin, so it links nothing of ours; services come through the host struct.

pkglib_LTLIBRARIES += ros2_transport_tcp.la
ros2_transport_tcp_la_SOURCES = \
	transports/tcp/domain.c \
	transports/tcp/domain.h \
	transports/tcp/endpoint.c \
	transports/tcp/endpoint.h \
	transports/tcp/frame.c \
	transports/tcp/frame.h \
	transports/tcp/listener.c \
	transports/tcp/listener.h \
	transports/tcp/plugin.c \
	transports/tcp/plugin.h \
	transports/tcp/region.c \
	transports/tcp/region.h \
	transports/tcp/rma.c \
	transports/tcp/rma.h
ros2_transport_tcp_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_transport_plugin$$'
