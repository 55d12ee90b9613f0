# SPDX-License-Identifier: Apache-2.0
# The command line: a file per verb, over the public API. libbase.la is for the histogram and, with libtls_issue.la, for
# certificates; it stays apart from the copy inside libros2.

bin_PROGRAMS += ros2ctl
ros2ctl_SOURCES = \
	tools/ros2ctl/main.c \
	tools/ros2ctl/output.c \
	tools/ros2ctl/parse.c \
	tools/ros2ctl/path.c \
	tools/ros2ctl/paths.c \
	tools/ros2ctl/progress.c \
	tools/ros2ctl/remote.c \
	tools/ros2ctl/stop.c \
	tools/ros2ctl/text.c \
	tools/ros2ctl/transfer.c \
	tools/ros2ctl/ls.c \
	tools/ros2ctl/cat.c \
	tools/ros2ctl/put.c \
	tools/ros2ctl/get.c \
	tools/ros2ctl/stat.c \
	tools/ros2ctl/rm.c \
	tools/ros2ctl/mkdir.c \
	tools/ros2ctl/mv.c \
	tools/ros2ctl/sum.c \
	tools/ros2ctl/bench.c \
	tools/ros2ctl/bench_run.c \
	tools/ros2ctl/bench_report.c \
	tools/ros2ctl/ping.c \
	tools/ros2ctl/transports.c \
	tools/ros2ctl/doctor.c \
	tools/ros2ctl/doctor_daemon.c \
	tools/ros2ctl/doctor_machine.c \
	tools/ros2ctl/doctor_process.c \
	tools/ros2ctl/doctor_settings.c \
	tools/ros2ctl/tls.c
ros2ctl_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS) $(JANSSON_CFLAGS)
ros2ctl_CFLAGS = $(program_cflags)
ros2ctl_LDFLAGS = $(program_ldflags)
ros2ctl_LDADD = libros2.la libtls_issue.la libbase.la $(CRYPTO_LIBS) $(JANSSON_LIBS)
