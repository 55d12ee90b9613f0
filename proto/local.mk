# SPDX-License-Identifier: Apache-2.0
# The control plane's messages: protoc-c writes C into the build folder, which is on the include path
# (#include "ros2/v1/session.pb-c.h"). A new .proto is one line here.

proto_files = \
	proto/grpc/health/v1/health.proto \
	proto/ros2/v1/common.proto \
	proto/ros2/v1/memory.proto \
	proto/ros2/v1/namespace.proto \
	proto/ros2/v1/session.proto

proto_sources = $(proto_files:.proto=.pb-c.c)
proto_headers = $(proto_files:.proto=.pb-c.h)

noinst_LTLIBRARIES += libros2proto.la
nodist_libros2proto_la_SOURCES = $(proto_sources) $(proto_headers)
libros2proto_la_SOURCES =
# Generated code is not ours to warn about.
libros2proto_la_CFLAGS = $(PTHREAD_CFLAGS) $(HARDEN_CFLAGS) $(SANITIZER_FLAGS) -w
libros2proto_la_LIBADD = $(PROTOBUF_C_LIBS)

# All outputs depend on all inputs: the files import one another, and there are few of them. The rule is one of the inputs.
# protoc-c names a member of the (unused) service struct after each method, also where that is a C keyword.
proto/%.pb-c.c proto/%.pb-c.h: $(proto_files) proto/local.mk
	$(AM_V_GEN)$(MKDIR_P) proto && \
	$(PROTOC_C) --proto_path=$(srcdir)/proto --c_out=proto $(srcdir)/proto/$*.proto && \
	$(SED) 's/(\*register)(/(*register_)(/' proto/$*.pb-c.h >proto/$*.pb-c.h.tmp && \
	mv proto/$*.pb-c.h.tmp proto/$*.pb-c.h

BUILT_SOURCES += $(proto_headers)
CLEANFILES += $(proto_sources) $(proto_headers)
EXTRA_DIST += $(proto_files)
$(libros2proto_la_OBJECTS): | $(proto_headers)
