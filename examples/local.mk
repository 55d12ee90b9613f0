# SPDX-License-Identifier: Apache-2.0
# Programs to read, over the public API.

noinst_PROGRAMS += examples/hello
examples_hello_SOURCES = examples/hello.c
examples_hello_LDADD = libros2.la

if HAVE_ZLIB
noinst_PROGRAMS += examples/train
endif
examples_train_SOURCES = examples/train.c
examples_train_CPPFLAGS = $(AM_CPPFLAGS) $(ZLIB_CFLAGS)
examples_train_LDADD = libros2.la $(ZLIB_LIBS) -lm
