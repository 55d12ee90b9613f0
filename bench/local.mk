# SPDX-License-Identifier: Apache-2.0
# Measurements, one program per row of the performance budget. A new one: a line here and
# bench_NAME_LDADD = libros2.la

bench_programs =
noinst_PROGRAMS += $(bench_programs)
