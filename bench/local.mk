# SPDX-License-Identifier: Apache-2.0
# Measurements over loopback; bench/compare runs them. They are built with all else, so that they keep compiling, and are
# not installed.

bench_common = bench/measure.c
bench_programs = bench/active_clients bench/file_limit bench/idle_clients bench/local_batch bench/ros2_batch bench/ros2_io \
	bench/tcp_pingpong bench/tcp_stream
noinst_PROGRAMS += $(bench_programs)

bench_active_clients_SOURCES = bench/active_clients.c $(bench_common)
bench_active_clients_LDADD = libros2.la libbase.la
bench_local_batch_SOURCES = bench/local_batch.c $(bench_common)
bench_local_batch_LDADD = libbase.la
bench_ros2_batch_SOURCES = bench/ros2_batch.c $(bench_common)
bench_ros2_batch_LDADD = libros2.la libbase.la
bench_file_limit_SOURCES = bench/file_limit.c $(bench_common)
bench_file_limit_LDADD = libbase.la
bench_idle_clients_SOURCES = bench/idle_clients.c $(bench_common)
bench_idle_clients_LDADD = libros2.la libbase.la
bench_tcp_pingpong_SOURCES = bench/tcp_pingpong.c bench/tcp_pair.c $(bench_common)
bench_tcp_pingpong_LDADD = libbase.la
bench_tcp_stream_SOURCES = bench/tcp_stream.c bench/tcp_pair.c $(bench_common)
bench_tcp_stream_LDADD = libbase.la
bench_ros2_io_SOURCES = bench/ros2_io.c $(bench_common)
bench_ros2_io_LDADD = libros2.la libbase.la

if HAVE_LIBFABRIC
noinst_PROGRAMS += bench/fi_loop
bench_fi_loop_SOURCES = bench/fi_loop.c $(bench_common)
bench_fi_loop_CPPFLAGS = $(AM_CPPFLAGS) $(LIBFABRIC_CFLAGS)
bench_fi_loop_LDADD = libbase.la $(LIBFABRIC_LIBS)
endif

EXTRA_DIST += bench/README.md bench/compare bench/compare-libs bench/compare-shm bench/figure5 bench/harness.py bench/plot
