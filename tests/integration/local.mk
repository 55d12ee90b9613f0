# SPDX-License-Identifier: Apache-2.0
# Library and daemon together, one program or script per promise.
# A new program is a line in integration_programs (and maybe an _LDADD, see tests/local.mk); a new script is a line in
# integration_scripts.

client_programs = \
	tests/integration/client_batch \
	tests/integration/client_batch_faults \
	tests/integration/client_buffers \
	tests/integration/client_connect \
	tests/integration/client_descriptors \
	tests/integration/client_faults \
	tests/integration/client_files \
	tests/integration/client_fork \
	tests/integration/client_fork_load \
	tests/integration/client_index \
	tests/integration/client_names \
	tests/integration/client_parallel \
	tests/integration/client_queue \
	tests/integration/client_queue_ends \
	tests/integration/client_queue_loop \
	tests/integration/client_registered \
	tests/integration/client_shadow \
	tests/integration/client_stopped
control_programs = \
	tests/integration/control_calls \
	tests/integration/control_lifecycle \
	tests/integration/control_refusals \
	tests/integration/control_replay
integration_programs = $(client_programs) $(control_programs)
batch_sources = tests/integration/batch_store.c tests/integration/client_daemon.c
tests_integration_client_batch_SOURCES = tests/integration/client_batch.c $(batch_sources)
tests_integration_client_batch_LDADD = $(test_public)
tests_integration_client_batch_faults_SOURCES = tests/integration/client_batch_faults.c $(batch_sources)
tests_integration_client_batch_faults_LDADD = $(test_public)
tests_integration_client_buffers_SOURCES = tests/integration/client_buffers.c tests/integration/client_daemon.c
tests_integration_client_buffers_LDADD = $(test_public)
tests_integration_client_connect_SOURCES = tests/integration/client_connect.c tests/integration/client_daemon.c
tests_integration_client_connect_LDADD = $(test_public)
tests_integration_client_descriptors_SOURCES = tests/integration/client_descriptors.c tests/integration/client_daemon.c
tests_integration_client_descriptors_LDADD = $(test_public)
tests_integration_client_faults_SOURCES = tests/integration/client_faults.c tests/integration/client_daemon.c
tests_integration_client_faults_LDADD = $(test_public)
tests_integration_client_files_SOURCES = tests/integration/client_files.c tests/integration/client_daemon.c
tests_integration_client_files_LDADD = $(test_public)
tests_integration_client_fork_SOURCES = tests/integration/client_fork.c tests/integration/client_daemon.c
tests_integration_client_fork_LDADD = $(test_public)
tests_integration_client_fork_load_SOURCES = tests/integration/client_fork_load.c tests/integration/client_daemon.c
tests_integration_client_fork_load_LDADD = $(test_public)
tests_integration_client_index_SOURCES = tests/integration/client_index.c tests/integration/client_daemon.c
tests_integration_client_index_LDADD = $(test_public)
tests_integration_client_names_SOURCES = tests/integration/client_names.c tests/integration/client_daemon.c
tests_integration_client_names_LDADD = $(test_public)
tests_integration_client_parallel_SOURCES = tests/integration/client_parallel.c tests/integration/client_daemon.c
tests_integration_client_parallel_LDADD = $(test_public)
tests_integration_client_queue_SOURCES = tests/integration/client_queue.c tests/integration/client_daemon.c
tests_integration_client_queue_LDADD = $(test_public)
tests_integration_client_queue_ends_SOURCES = tests/integration/client_queue_ends.c tests/integration/client_daemon.c
tests_integration_client_queue_ends_LDADD = $(test_public)
tests_integration_client_queue_loop_SOURCES = tests/integration/client_queue_loop.c tests/integration/client_daemon.c
tests_integration_client_queue_loop_LDADD = $(test_public)
tests_integration_client_registered_SOURCES = tests/integration/client_registered.c tests/integration/client_daemon.c
tests_integration_client_registered_LDADD = $(test_public)
tests_integration_client_shadow_SOURCES = tests/integration/client_shadow.c tests/integration/client_daemon.c
tests_integration_client_shadow_LDADD = $(test_public)
tests_integration_client_stopped_SOURCES = tests/integration/client_stopped.c tests/integration/client_daemon.c
tests_integration_client_stopped_LDADD = $(test_public)
integration_programs += \
	tests/integration/data_fence \
	tests/integration/data_handshake \
	tests/integration/data_io \
	tests/integration/data_mapped \
	tests/integration/data_rules \
	tests/integration/data_vector \
	tests/integration/data_vector_rules
# A raw peer of the data plane, which runs in the test's process.
data_peer = tests/integration/data_peer.c tests/integration/data_rig.c
tests_integration_data_fence_SOURCES = tests/integration/data_fence.c $(data_peer)
tests_integration_data_fence_LDADD = $(test_daemon)
tests_integration_data_handshake_SOURCES = tests/integration/data_handshake.c $(data_peer)
tests_integration_data_handshake_LDADD = $(test_daemon)
tests_integration_data_io_SOURCES = tests/integration/data_io.c $(data_peer)
tests_integration_data_io_LDADD = $(test_daemon)
tests_integration_data_mapped_SOURCES = tests/integration/data_mapped.c $(data_peer)
tests_integration_data_mapped_LDADD = $(test_daemon)
tests_integration_data_rules_SOURCES = tests/integration/data_rules.c $(data_peer)
tests_integration_data_rules_LDADD = $(test_daemon)
vector_peer = tests/integration/vector_peer.c $(data_peer)
tests_integration_data_vector_SOURCES = tests/integration/data_vector.c $(vector_peer)
tests_integration_data_vector_LDADD = $(test_daemon)
tests_integration_data_vector_rules_SOURCES = tests/integration/data_vector_rules.c $(vector_peer)
tests_integration_data_vector_rules_LDADD = $(test_daemon)

# daemon.c starts a ros2d for any test; control_world.c is for those of the control plane.
control_sources = tests/integration/control_world.c tests/integration/daemon.c
control_ldadd = libcontrol.la libtls_issue.la libprotocol.la libros2proto.la libbase.la $(CMOCKA_LIBS)
tests_integration_control_calls_SOURCES = tests/integration/control_calls.c $(control_sources)
tests_integration_control_calls_LDADD = $(control_ldadd)
$(tests_integration_control_calls_OBJECTS): | $(proto_headers)
tests_integration_control_lifecycle_SOURCES = tests/integration/control_lifecycle.c $(control_sources)
tests_integration_control_lifecycle_LDADD = $(control_ldadd)
$(tests_integration_control_lifecycle_OBJECTS): | $(proto_headers)
tests_integration_control_refusals_SOURCES = tests/integration/control_refusals.c $(control_sources)
tests_integration_control_refusals_LDADD = $(control_ldadd)
$(tests_integration_control_refusals_OBJECTS): | $(proto_headers)
tests_integration_control_replay_SOURCES = tests/integration/control_replay.c $(control_sources)
tests_integration_control_replay_LDADD = $(control_ldadd)
$(tests_integration_control_replay_OBJECTS): | $(proto_headers)

tests_integration_ros2_transport_keyed_la_SOURCES = tests/integration/transport_keyed.c
tests_integration_ros2_transport_keyed_la_LIBADD = libtransporttcp.la
tests_integration_ros2_transport_keyed_la_LDFLAGS = $(plugin_ldflags) -rpath /nowhere

integration_scripts = \
	tests/integration/containers.py \
	tests/integration/client_stopped_shm.sh \
	tests/integration/control_python.py \
	tests/integration/ctl_doctor.py \
	tests/integration/ctl_output.py \
	tests/integration/ctl_tls.py \
	tests/integration/ctl_transfer.py \
	tests/integration/daemon_cli.py \
	tests/integration/example_loader.py \
	tests/integration/hostile_ports.py \
	tests/integration/hot_path.sh \
	tests/integration/on_keyed.sh \
	tests/integration/on_shm.sh \
	tests/integration/readme.sh

if HAVE_LIBFABRIC
TESTS += tests/integration/on_ofi.sh
endif
if HAVE_UCX
TESTS += tests/integration/on_ucx.sh
if HAVE_LIBFABRIC
TESTS += tests/integration/beside.sh
endif
endif
if HAVE_CMOCKA
check_PROGRAMS += $(integration_programs)
check_LTLIBRARIES += tests/integration/ros2_transport_keyed.la
TESTS += $(integration_programs)
endif
TESTS += $(integration_scripts)
EXTRA_DIST += $(integration_scripts) tests/integration/beside.sh tests/integration/on_ofi.sh tests/integration/on_ucx.sh tests/integration/ctl_harness.py tests/integration/on_transport

# What hot_path.sh runs. Only a module with an rpath becomes a .so.
if HAVE_CMOCKA
check_PROGRAMS += tests/integration/hot_path
check_LTLIBRARIES += tests/integration/call_count.la
endif
tests_integration_hot_path_LDADD = libros2.la
tests_integration_call_count_la_SOURCES = tests/integration/call_count.c tests/integration/call_count.h
tests_integration_call_count_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere
