# SPDX-License-Identifier: Apache-2.0
# Transport ucx: a plugin, so it links nothing of ours; services come through the host struct. Built where UCX is. The
# plugin itself is small, and loads the module that links UCX when that may be loaded.

if HAVE_UCX
pkglib_LTLIBRARIES += ros2_transport_ucx.la ros2_ucx.la
ros2_transport_ucx_la_SOURCES = transports/ucx/loader.c
ros2_transport_ucx_la_CPPFLAGS = $(AM_CPPFLAGS) $(UCX_CFLAGS)
ros2_transport_ucx_la_LIBADD = -ldl
ros2_transport_ucx_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_transport_plugin$$'

ros2_ucx_la_SOURCES = \
	transports/address.c \
	transports/interface.c \
	transports/rdma_device.c \
	transports/ucx/cm.c \
	transports/ucx/context.c \
	transports/ucx/copy.c \
	transports/ucx/descriptors.c \
	transports/ucx/domain.c \
	transports/ucx/endpoint.c \
	transports/ucx/heartbeat.c \
	transports/ucx/linger.c \
	transports/ucx/listener.c \
	transports/ucx/message.c \
	transports/ucx/oob.c \
	transports/ucx/plugin.c \
	transports/ucx/process.c \
	transports/ucx/progress.c \
	transports/ucx/receive.c \
	transports/ucx/region.c \
	transports/ucx/rma.c \
	transports/ucx/table.c \
	transports/ucx/work.c
ros2_ucx_la_CPPFLAGS = $(AM_CPPFLAGS) $(UCX_CFLAGS)
ros2_ucx_la_LIBADD = $(UCX_LIBS) $(ISAL_LIBS)
ros2_ucx_la_LDFLAGS = $(plugin_ldflags) -export-symbols-regex '^ros2_ucx_variant$$'
endif
