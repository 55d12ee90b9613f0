# SPDX-License-Identifier: Apache-2.0
# Transport ofi: a plugin, so it links nothing of ours; services come through the host struct. Built where libfabric is.

if HAVE_LIBFABRIC
pkglib_LTLIBRARIES += ros2_transport_ofi.la
ros2_transport_ofi_la_SOURCES = \
	transports/address.c \
	transports/interface.c \
	transports/rdma_device.c \
	transports/ofi/backlog.c \
	transports/ofi/descriptors.c \
	transports/ofi/domain.c \
	transports/ofi/endpoint.c \
	transports/ofi/heartbeat.c \
	transports/ofi/linger.c \
	transports/ofi/listener.c \
	transports/ofi/message.c \
	transports/ofi/plugin.c \
	transports/ofi/progress.c \
	transports/ofi/queue.c \
	transports/ofi/rdma.c \
	transports/ofi/region.c \
	transports/ofi/rma.c
ros2_transport_ofi_la_CPPFLAGS = $(AM_CPPFLAGS) $(LIBFABRIC_CFLAGS)
ros2_transport_ofi_la_LIBADD = $(LIBFABRIC_LIBS) $(ISAL_LIBS)
ros2_transport_ofi_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_transport_plugin$$'
endif
