# SPDX-License-Identifier: Apache-2.0
# Decoders against hostile bytes: each program has LLVMFuzzerTestOneInput(), NAME.c, and a corpus of kept
# inputs, corpus/NAME/. A new one is a line in fuzz_programs, and what it links:
#   tests_fuzz_NAME_LDADD = libprotocol.la libbase.la $(fuzz_main)
# With --enable-fuzzers (clang) it is a libFuzzer program; else it replays its corpus once, in make check.

fuzz_programs = \
	tests/fuzz/control_request \
	tests/fuzz/tcp_frame \
	tests/fuzz/wire

tests_fuzz_wire_SOURCES = tests/fuzz/wire.c tests/unit/wire_samples.c tests/unit/wire_vector_samples.c
tests_fuzz_wire_LDADD = libprotocol.la libbase.la $(fuzz_main)

tests_fuzz_control_request_LDADD = libdaemon.la libprotocol.la libros2proto.la libbase.la $(fuzz_main)
$(tests_fuzz_control_request_OBJECTS): | $(proto_headers)

# Not built by default: writes the first corpus of wire anew.
tests_fuzz_tcp_frame_LDADD = libtransporttcp.la libbase.la $(fuzz_main)

EXTRA_PROGRAMS += tests/fuzz/seed_wire
tests_fuzz_seed_wire_SOURCES = tests/fuzz/seed_wire.c tests/unit/wire_samples.c tests/unit/wire_vector_samples.c
tests_fuzz_seed_wire_LDADD = libprotocol.la libbase.la

if FUZZERS
fuzz_main = $(FUZZER_LIBS)
EXTRA_PROGRAMS += $(fuzz_programs)
CLEANFILES += $(fuzz_programs)
else
fuzz_main = libfuzzmain.la
check_LTLIBRARIES += libfuzzmain.la
check_PROGRAMS += $(fuzz_programs)
TESTS += $(fuzz_programs)
endif
libfuzzmain_la_SOURCES = tests/fuzz/replay.c

fuzzers: $(fuzz_programs)
print-fuzzers:
	@echo $(fuzz_programs)
.PHONY: fuzzers print-fuzzers

EXTRA_DIST += $(wildcard $(srcdir)/tests/fuzz/corpus)
