# SPDX-License-Identifier: Apache-2.0
# Transport tcp: a plugin, so it links nothing of ours; services come through the host struct.
# All but the exported symbol is an archive, which the fuzz target links too.

noinst_LTLIBRARIES += libtransporttcp.la
libtransporttcp_la_SOURCES = \
	transports/address.c \
	transports/tcp/domain.c \
	transports/tcp/endpoint.c \
	transports/tcp/frame.c \
	transports/tcp/linger.c \
	transports/tcp/listener.c \
	transports/tcp/queue.c \
	transports/tcp/receive.c \
	transports/tcp/region.c \
	transports/tcp/rma.c \
	transports/tcp/transmit.c

pkglib_LTLIBRARIES += ros2_transport_tcp.la
ros2_transport_tcp_la_SOURCES = transports/tcp/plugin.c
ros2_transport_tcp_la_LIBADD = libtransporttcp.la
ros2_transport_tcp_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_transport_plugin$$'
