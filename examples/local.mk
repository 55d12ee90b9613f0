# SPDX-License-Identifier: Apache-2.0
# Programs to read, over the public API.

noinst_PROGRAMS += examples/hello
examples_hello_SOURCES = examples/hello.c
examples_hello_LDADD = libros2.la

noinst_PROGRAMS += examples/train
examples_train_SOURCES = \
	examples/shuffle.c \
	examples/train.c \
	examples/train_checkpoint.c \
	examples/train_idx.c \
	examples/train_loader.c \
	examples/train_model.c
examples_train_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
examples_train_LDADD = libros2.la $(CRYPTO_LIBS) -lm

noinst_PROGRAMS += examples/loader
examples_loader_SOURCES = \
	examples/loader.c \
	examples/loader_explode.c \
	examples/loader_idx.c \
	examples/loader_reader.c \
	examples/loader_run.c \
	examples/loader_set.c \
	examples/loader_sum.c \
	examples/loader_workers.c \
	examples/shuffle.c
examples_loader_LDADD = libros2.la

# For who has these libraries in his program too.
if HAVE_UCX
if HAVE_LIBFABRIC
noinst_PROGRAMS += examples/beside
examples_beside_SOURCES = examples/beside.c
examples_beside_CPPFLAGS = $(AM_CPPFLAGS) $(UCX_CFLAGS) $(LIBFABRIC_CFLAGS) $(GRPC_CFLAGS)
examples_beside_LDADD = libros2.la $(UCX_LIBS) $(LIBFABRIC_LIBS) $(GRPC_LIBS)
endif
endif

EXTRA_DIST += quickstart
