/* SPDX-License-Identifier: Apache-2.0 */
/* What the measuring programs share: their options, the clock, CPU time, and one line of JSON as the result. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/histogram.h"

struct measure_options {
    const char *path;     /* --path */
    size_t block;         /* --block BYTES, default 1 MiB */
    unsigned depth;       /* --depth N: operations in flight, or buffers used in turn; default 1 */
    uint64_t duration_ns; /* --seconds S, default 1 */
    bool random;          /* --random: offsets */
    bool write;           /* --write: writes instead of reads */
    bool shared;          /* --shared: buffers as of ros2_buf_alloc() instead of malloc() */
    bool checksum;        /* --checksum: CRC-32C of payloads, off by default */
    bool spin;            /* --spin: poll instead of sleeping */
    size_t request;       /* --request BYTES, default 100 */
    unsigned files;       /* --files N: of a folder, named 0 to N - 1; default 1 */
    unsigned clients;     /* --clients N, default 1 */
};

/* Ends the program with a message on wrong usage. need_path: --path must be there. */
void measure_parse(int argc, char **argv, bool need_path, struct measure_options *options);

/* Ends the program: "program: what: text of err". */
_Noreturn void measure_die(const char *what, int err);
_Noreturn void measure_die_text(const char *text);

uint64_t measure_now_ns(void);
double measure_cpu_s(int who); /* RUSAGE_SELF or RUSAGE_CHILDREN */
uint64_t measure_random(uint64_t *state);
/* depth buffers of block bytes in one piece, page-aligned, every page touched; for the life of the program. */
char *measure_buffers(const struct measure_options *options);
void measure_read_fully(int fd, void *buf, size_t len);
void measure_write_fully(int fd, const void *buf, size_t len);

struct measure {
    uint64_t start_ns, end_ns; /* end: when to stop; then, when it was */
    double cpu_s;              /* at the start; then, of the time between */
    uint64_t operations, bytes;
    struct ros2i_histogram latency_ns;
};

void measure_begin(struct measure *m, uint64_t duration_ns);
/* Counts an operation that took from since_ns to now. Returns false, once, when the time is over. */
bool measure_add(struct measure *m, uint64_t bytes, uint64_t since_ns, uint64_t now_ns);
/* Prints the result. other_cpu_s: CPU time of the other end in this time, below 0: not measured here. */
void measure_print(const struct measure *m, double other_cpu_s);

#endif
