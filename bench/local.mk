# SPDX-License-Identifier: Apache-2.0
# Measurements over loopback; bench/compare runs them. They are built with all else, so that they keep compiling, and are
# not installed. bench/ros2_read needs the queue, which libros2.so does not export: it links the parts.

bench_common = bench/measure.c
bench_programs = bench/file_limit bench/ros2_read bench/tcp_pingpong bench/tcp_stream
noinst_PROGRAMS += $(bench_programs)

bench_file_limit_SOURCES = bench/file_limit.c $(bench_common)
bench_file_limit_LDADD = libbase.la
bench_tcp_pingpong_SOURCES = bench/tcp_pingpong.c bench/tcp_pair.c $(bench_common)
bench_tcp_pingpong_LDADD = libbase.la
bench_tcp_stream_SOURCES = bench/tcp_stream.c bench/tcp_pair.c $(bench_common)
bench_tcp_stream_LDADD = libbase.la
bench_ros2_read_SOURCES = bench/ros2_read.c $(bench_common)
bench_ros2_read_LDADD = libcore.la libcontrol.la libdata.la libprotocol.la libros2proto.la libbase.la

EXTRA_DIST += bench/README.md bench/compare
