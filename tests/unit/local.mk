# SPDX-License-Identifier: Apache-2.0
# One program per source file, NAME_test.c. A new program is a line in unit_programs (and maybe an
# _LDADD, see tests/local.mk); a new script is a line in unit_scripts.

unit_programs = \
	tests/unit/checksum_test \
	tests/unit/clock_test \
	tests/unit/error_test \
	tests/unit/escape_test \
	tests/unit/histogram_test \
	tests/unit/hmac_test \
	tests/unit/log_test \
	tests/unit/plugin_test \
	tests/unit/proof_test \
	tests/unit/secret_test \
	tests/unit/shared_memory_test \
	tests/unit/timers_test \
	tests/unit/wire_fields_test \
	tests/unit/wire_test

tests_unit_checksum_test_LDADD = $(test_protocol)
tests_unit_clock_test_LDADD = $(test_base)
tests_unit_error_test_LDADD = $(test_base)
tests_unit_escape_test_LDADD = $(test_base)
tests_unit_histogram_test_LDADD = $(test_base)
tests_unit_hmac_test_LDADD = $(test_protocol)
tests_unit_log_test_LDADD = $(test_base)
tests_unit_plugin_test_LDADD = $(test_base)
tests_unit_proof_test_LDADD = $(test_protocol)
tests_unit_secret_test_LDADD = $(test_base)
tests_unit_shared_memory_test_LDADD = $(test_base)
tests_unit_timers_test_LDADD = $(test_base)
tests_unit_wire_fields_test_LDADD = $(test_protocol)
tests_unit_wire_fields_test_SOURCES = tests/unit/wire_fields_test.c tests/unit/wire_samples.c tests/unit/wire_vector_samples.c
tests_unit_wire_test_LDADD = $(test_protocol)
tests_unit_wire_test_SOURCES = tests/unit/wire_test.c tests/unit/wire_samples.c tests/unit/wire_vector_samples.c

# What plugin_test loads. Only a module with an rpath becomes a .so.
sample_ldflags = $(plugin_ldflags) -rpath /nowhere
sample_plugins = \
	tests/unit/ros2_transport_sample.la \
	tests/unit/ros2_transport_otherabi.la \
	tests/unit/ros2_transport_shortops.la \
	tests/unit/ros2_transport_hollow.la \
	tests/unit/ros2_engine_sample.la
tests_unit_ros2_transport_sample_la_SOURCES = tests/unit/plugin_sample.c
tests_unit_ros2_transport_sample_la_LDFLAGS = $(sample_ldflags)
tests_unit_ros2_transport_otherabi_la_SOURCES = tests/unit/plugin_sample.c
tests_unit_ros2_transport_otherabi_la_CPPFLAGS = $(AM_CPPFLAGS) -DSAMPLE_ABI=7
tests_unit_ros2_transport_otherabi_la_LDFLAGS = $(sample_ldflags)
tests_unit_ros2_transport_shortops_la_SOURCES = tests/unit/plugin_sample.c
tests_unit_ros2_transport_shortops_la_CPPFLAGS = $(AM_CPPFLAGS) -DSAMPLE_SIZE=48
tests_unit_ros2_transport_shortops_la_LDFLAGS = $(sample_ldflags)
tests_unit_ros2_transport_hollow_la_SOURCES = tests/unit/plugin_sample.c
tests_unit_ros2_transport_hollow_la_CPPFLAGS = $(AM_CPPFLAGS) -DSAMPLE_HOLLOW
tests_unit_ros2_transport_hollow_la_LDFLAGS = $(sample_ldflags)
tests_unit_ros2_engine_sample_la_SOURCES = tests/unit/plugin_sample.c
tests_unit_ros2_engine_sample_la_CPPFLAGS = $(AM_CPPFLAGS) -DSAMPLE_ENGINE
tests_unit_ros2_engine_sample_la_LDFLAGS = $(sample_ldflags)

# The client's parts build without lib/control.
client_units = \
	tests/unit/channel_test \
	tests/unit/data_bounce_test \
	tests/unit/inflight_test \
	tests/unit/spin_test \
	tests/unit/path_test \
	tests/unit/keyed_test \
	tests/unit/quiesce_test \
	tests/unit/registered_test \
	tests/unit/networks_test \
	tests/unit/settings_test \
	tests/unit/transfer_test \
	tests/unit/url_test
unit_programs += $(client_units)
tests_unit_channel_test_LDADD = libdata.la $(test_protocol)
tests_unit_data_bounce_test_LDADD = libdata.la $(test_protocol)
tests_unit_channel_test_SOURCES = tests/unit/channel_test.c tests/unit/data_peer.c
tests_unit_keyed_test_LDADD = libdata.la $(test_protocol)
tests_unit_keyed_test_SOURCES = tests/unit/keyed_test.c tests/unit/data_peer.c
tests_unit_quiesce_test_LDADD = libdata.la $(test_protocol)
tests_unit_quiesce_test_SOURCES = tests/unit/quiesce_test.c tests/unit/data_peer.c
tests_unit_registered_test_LDADD = libdata.la $(test_protocol)
tests_unit_registered_test_SOURCES = tests/unit/registered_test.c tests/unit/data_peer.c
tests_unit_transfer_test_LDADD = libdata.la $(test_protocol)
tests_unit_transfer_test_SOURCES = tests/unit/transfer_test.c tests/unit/data_peer.c
tests_unit_spin_test_LDADD = libcore.la $(test_base)
tests_unit_inflight_test_LDADD = libcore.la libdata.la $(test_protocol)
tests_unit_path_test_LDADD = libcore.la $(test_base)
tests_unit_networks_test_LDADD = libcore.la $(test_base)
tests_unit_settings_test_LDADD = libcore.la $(test_base)
tests_unit_url_test_LDADD = libcore.la $(test_base)
# daemon
unit_programs += \
	tests/unit/bounce_test \
	tests/unit/config_test \
	tests/unit/handles_test \
	tests/unit/issue_test \
	tests/unit/mailbox_test \
	tests/unit/queue_state_test \
	tests/unit/path_take_test \
	tests/unit/regions_test \
	tests/unit/replay_test \
	tests/unit/rkeys_test \
	tests/unit/sessions_test \
	tests/unit/token_test
tests_unit_bounce_test_LDADD = $(test_daemon)
tests_unit_mailbox_test_LDADD = $(test_daemon)
tests_unit_queue_state_test_LDADD = $(test_daemon)
tests_unit_config_test_LDADD = $(test_daemon)
tests_unit_handles_test_LDADD = $(test_daemon)
tests_unit_issue_test_LDADD = libtls_issue.la libbase.la $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_path_take_test_LDADD = $(test_daemon)
tests_unit_regions_test_LDADD = $(test_daemon)
tests_unit_replay_test_LDADD = $(test_daemon)
tests_unit_rkeys_test_LDADD = $(test_daemon)
tests_unit_sessions_test_LDADD = $(test_daemon)
tests_unit_token_test_LDADD = $(test_daemon)

unit_programs += \
	tests/unit/tcp_hostile_test \
	tests/unit/tcp_queue_test
tests_unit_tcp_hostile_test_SOURCES = tests/unit/tcp_hostile_test.c tests/unit/tcp_peer.c $(transport_pair)
tests_unit_tcp_hostile_test_LDADD = libtransporttcp.la $(test_base)
tests_unit_tcp_queue_test_LDADD = libtransporttcp.la $(test_base)

if HAVE_LIBFABRIC
unit_programs += \
	tests/unit/ofi_hostile_test \
	tests/unit/ofi_process_test
endif
ofi_peer = tests/unit/ofi_peer.c tests/unit/ofi_peer.h
tests_unit_ofi_hostile_test_SOURCES = tests/unit/ofi_hostile_test.c $(ofi_peer) $(transport_pair)
tests_unit_ofi_hostile_test_CPPFLAGS = $(AM_CPPFLAGS) $(LIBFABRIC_CFLAGS)
tests_unit_ofi_hostile_test_LDADD = $(test_base) $(LIBFABRIC_LIBS)
# Where there is a device: run by tests/rdma only.
if HAVE_CMOCKA
if HAVE_LIBFABRIC
check_PROGRAMS += tests/unit/ofi_keys_test
endif
endif
tests_unit_ofi_keys_test_SOURCES = tests/unit/ofi_keys_test.c $(ofi_peer) $(transport_pair)
tests_unit_ofi_keys_test_CPPFLAGS = $(AM_CPPFLAGS) $(LIBFABRIC_CFLAGS)
tests_unit_ofi_keys_test_LDADD = $(test_base) $(LIBFABRIC_LIBS)
tests_unit_ofi_process_test_SOURCES = tests/unit/ofi_process_test.c $(transport_pair)
tests_unit_ofi_process_test_LDADD = $(test_base)

if HAVE_UCX
unit_programs += \
	tests/unit/ucx_hostile_test \
	tests/unit/ucx_process_test
endif
tests_unit_ucx_hostile_test_SOURCES = tests/unit/ucx_hostile_test.c tests/unit/ucx_peer.c tests/unit/ucx_peer.h $(transport_pair)
tests_unit_ucx_hostile_test_CPPFLAGS = $(AM_CPPFLAGS) $(UCX_CFLAGS)
tests_unit_ucx_hostile_test_LDADD = $(test_base) $(UCX_LIBS)
tests_unit_ucx_process_test_SOURCES = tests/unit/ucx_process_test.c $(transport_pair)
tests_unit_ucx_process_test_LDADD = $(test_base)

unit_programs += \
	tests/unit/shm_doorbell_test \
	tests/unit/shm_hostile_test \
	tests/unit/shm_hostile_ring_test
shm_peer = tests/unit/shm_peer.c $(transport_pair)
tests_unit_shm_doorbell_test_SOURCES = tests/unit/shm_doorbell_test.c $(shm_peer)
tests_unit_shm_doorbell_test_LDADD = libtransportshm.la $(test_base)
tests_unit_shm_hostile_test_SOURCES = tests/unit/shm_hostile_test.c $(shm_peer)
tests_unit_shm_hostile_test_LDADD = libtransportshm.la $(test_base)
tests_unit_shm_hostile_ring_test_SOURCES = tests/unit/shm_hostile_ring_test.c $(shm_peer)
tests_unit_shm_hostile_ring_test_LDADD = libtransportshm.la $(test_base)

unit_scripts =

if HAVE_CMOCKA
check_PROGRAMS += $(unit_programs)
check_LTLIBRARIES += $(sample_plugins)
TESTS += $(unit_programs)
endif
TESTS += $(unit_scripts)
EXTRA_DIST += $(unit_scripts)
