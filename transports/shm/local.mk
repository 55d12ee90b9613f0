# SPDX-License-Identifier: Apache-2.0
# Transport shm: a plugin, so it links nothing of ours; services come through the host struct.
# All but the exported symbol is an archive, which its own tests link too.

noinst_LTLIBRARIES += libtransportshm.la
libtransportshm_la_SOURCES = \
	transports/shm/address.c \
	transports/shm/discard.c \
	transports/shm/domain.c \
	transports/shm/doorbell.c \
	transports/shm/endpoint.c \
	transports/shm/file.c \
	transports/shm/linger.c \
	transports/shm/listener.c \
	transports/shm/peer.c \
	transports/shm/progress.c \
	transports/shm/queue.c \
	transports/shm/receive.c \
	transports/shm/region.c \
	transports/shm/ring.c \
	transports/shm/rma.c \
	transports/shm/share.c \
	transports/shm/socket.c \
	transports/shm/transmit.c

pkglib_LTLIBRARIES += ros2_transport_shm.la
ros2_transport_shm_la_SOURCES = transports/shm/plugin.c
ros2_transport_shm_la_LIBADD = libtransportshm.la
ros2_transport_shm_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_transport_plugin$$'
