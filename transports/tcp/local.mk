# SPDX-License-Identifier: Apache-2.0
# Transport tcp: a plugin, so it links nothing of ours; services come through the host struct.

pkglib_LTLIBRARIES += ros2_transport_tcp.la
ros2_transport_tcp_la_SOURCES = \
	transports/tcp/domain.c \
	transports/tcp/endpoint.c \
	transports/tcp/frame.c \
	transports/tcp/listener.c \
	transports/tcp/plugin.c \
	transports/tcp/region.c \
	transports/tcp/rma.c
ros2_transport_tcp_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_transport_plugin$$'
