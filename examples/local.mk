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

EXTRA_DIST += quickstart
