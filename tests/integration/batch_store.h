/* SPDX-License-Identifier: Apache-2.0 */
/* Many files at a daemon, and a batch that reads them. */
#ifndef TESTS_BATCH_STORE_H
#define TESTS_BATCH_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define UNSET 0xee

/* File i is "f<i>" with batch_size(i) bytes: of all sizes from none to some KiB, each 500th of some MiB. */
size_t batch_size(unsigned i);
void batch_write_files(const struct daemon *d, unsigned count);
/* The bytes of file i; static memory. */
const uint8_t *batch_bytes(unsigned i);

struct batch {
    struct ros2_batch_item *item;
    unsigned *file; /* that each item reads */
    size_t count;
    uint8_t *memory;
    size_t memory_len;
    char *paths;
};

/* Reads of files first, first + step, ... from their starts. slot: bytes for each, 0: as many as the file has. gap: between two
 * buffers. */
void batch_make(struct batch *b, size_t count, unsigned first, unsigned step, size_t slot,
                size_t gap);
void batch_free(struct batch *b);
/* Item i has its file's bytes, as many as fit, and nothing behind its buffer has changed. */
void batch_check(const struct batch *b, size_t i);
void batch_check_all(const struct batch *b);
/* Waits until the daemon has no file open. */
void batch_await_closed(const struct daemon *d, struct ros2_client *client);
int batch_open_at_daemon(const struct daemon *d);

#endif
