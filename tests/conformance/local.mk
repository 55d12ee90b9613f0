# SPDX-License-Identifier: Apache-2.0
# One suite per interface, run on every plugin: transport_TOPIC.c, engine_TOPIC.c.
# A new program is a line in conformance_programs (and maybe an _LDADD, see tests/local.mk); a new script is a line in
# conformance_scripts.

conformance_programs = \
	tests/conformance/transport_ends \
	tests/conformance/transport_endpoints \
	tests/conformance/transport_get \
	tests/conformance/transport_messages \
	tests/conformance/transport_process \
	tests/conformance/transport_put \
	tests/conformance/transport_regions

# Which plugin: ROS2_TEST_TRANSPORT, by default tcp.
transport_pair = tests/conformance/transport_pair.c tests/conformance/transport_pair.h
tests_conformance_transport_ends_SOURCES = tests/conformance/transport_ends.c $(transport_pair)
tests_conformance_transport_ends_LDADD = $(test_base)
tests_conformance_transport_endpoints_SOURCES = tests/conformance/transport_endpoints.c $(transport_pair)
tests_conformance_transport_endpoints_LDADD = $(test_base)
tests_conformance_transport_get_SOURCES = tests/conformance/transport_get.c $(transport_pair)
tests_conformance_transport_get_LDADD = $(test_base)
tests_conformance_transport_messages_SOURCES = tests/conformance/transport_messages.c $(transport_pair)
tests_conformance_transport_messages_LDADD = $(test_base)
tests_conformance_transport_process_SOURCES = tests/conformance/transport_process.c $(transport_pair)
tests_conformance_transport_process_LDADD = $(test_base)
tests_conformance_transport_put_SOURCES = tests/conformance/transport_put.c $(transport_pair)
tests_conformance_transport_put_LDADD = $(test_base)
tests_conformance_transport_regions_SOURCES = tests/conformance/transport_regions.c $(transport_pair)
tests_conformance_transport_regions_LDADD = $(test_base)

# For transports that map the peer's memory: run by its script only.
tests_conformance_transport_map_SOURCES = tests/conformance/transport_map.c $(transport_pair)
tests_conformance_transport_map_LDADD = $(test_base)

# The programs above run on tcp; each script runs one of them on shm.
conformance_scripts = \
	tests/conformance/transport_endpoints_shm.sh \
	tests/conformance/transport_ends_shm.sh \
	tests/conformance/transport_get_shm.sh \
	tests/conformance/transport_map_shm.sh \
	tests/conformance/transport_messages_shm.sh \
	tests/conformance/transport_process_shm.sh \
	tests/conformance/transport_put_shm.sh \
	tests/conformance/transport_regions_shm.sh

# And on ofi, over libfabric's own tcp.
conformance_ofi_scripts = \
	tests/conformance/transport_endpoints_ofi.sh \
	tests/conformance/transport_ends_ofi.sh \
	tests/conformance/transport_get_ofi.sh \
	tests/conformance/transport_messages_ofi.sh \
	tests/conformance/transport_process_ofi.sh \
	tests/conformance/transport_put_ofi.sh \
	tests/conformance/transport_regions_ofi.sh

# And on ucx, over UCX's tcp.
conformance_ucx_scripts = \
	tests/conformance/transport_endpoints_ucx.sh \
	tests/conformance/transport_ends_ucx.sh \
	tests/conformance/transport_get_ucx.sh \
	tests/conformance/transport_messages_ucx.sh \
	tests/conformance/transport_process_ucx.sh \
	tests/conformance/transport_put_ucx.sh \
	tests/conformance/transport_regions_ucx.sh

if HAVE_CMOCKA
if HAVE_LIBFABRIC
TESTS += $(conformance_ofi_scripts)
endif
if HAVE_UCX
TESTS += $(conformance_ucx_scripts)
endif
check_PROGRAMS += $(conformance_programs) tests/conformance/transport_map
TESTS += $(conformance_programs) $(conformance_scripts)
endif
EXTRA_DIST += $(conformance_scripts) $(conformance_ofi_scripts) $(conformance_ucx_scripts)

# The engine suite is one program; each script runs it on one engine, configuration and stack of layers. Beside it,
# programs for what one engine or layer promises alone.
engine_scripts = \
	tests/conformance/engine_posix_auto.sh \
	tests/conformance/engine_posix_nowait.sh \
	tests/conformance/engine_posix_uring.sh \
	tests/conformance/engine_posix_threads.sh \
	tests/conformance/engine_posix_direct.sh \
	tests/conformance/engine_forward.sh \
	tests/conformance/engine_fault_idle.sh
tests_conformance_engine_suite_SOURCES = \
	tests/conformance/engine_append.c \
	tests/conformance/engine_confinement.c \
	tests/conformance/engine_data.c \
	tests/conformance/engine_inflight.c \
	tests/conformance/engine_namespace.c \
	tests/conformance/engine_readdir.c \
	tests/conformance/engine_suite.c \
	tests/conformance/engine_world.c
tests_conformance_engine_suite_LDADD = $(test_base)

engine_programs = tests/conformance/engine_fault tests/conformance/engine_posix
tests_conformance_engine_fault_SOURCES = tests/conformance/engine_fault.c tests/conformance/engine_world.c
tests_conformance_engine_fault_LDADD = $(test_base)
tests_conformance_engine_posix_SOURCES = tests/conformance/engine_posix.c tests/conformance/engine_world.c
tests_conformance_engine_posix_LDADD = $(test_base)

if HAVE_CMOCKA
check_PROGRAMS += tests/conformance/engine_suite $(engine_programs)
TESTS += $(engine_scripts) $(engine_programs)
endif
EXTRA_DIST += $(engine_scripts)
