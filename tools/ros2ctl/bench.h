/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl bench: what is measured, and what came out. */
#ifndef ROS2CTL_BENCH_H
#define ROS2CTL_BENCH_H

#include "lib/base/histogram.h"
#include "tools/ros2ctl/ctl.h"

struct ctl_bench {
    struct ctl *ctl;
    const char *workload; /* "read", ... */
    bool random, write;
    uint64_t block, size; /* bytes; size is a multiple of block */
    unsigned jobs;
    uint64_t duration_ns;
    pid_t daemon_pid; /* 0: its CPU time is not asked for */
    const char *path;
};

struct ctl_bench_result {
    double seconds;
    uint64_t operations, bytes;
    double client_cpu_s, daemon_cpu_s; /* daemon: below 0 when not known */
    struct ros2i_histogram latency_ns;
};

/* Runs the workload on the file at path, which has size bytes, in bench->jobs threads. CTL_OK, or CTL_FAILURE after the
 * error line. */
int ctl_bench_run(const struct ctl_bench *bench, struct ctl_bench_result *result);
/* Prints it as a table or as JSON. */
int ctl_bench_print(const struct ctl_bench *bench, const struct ctl_bench_result *result);
/* Fills buf with bytes that do not compress and do not repeat. */
void ctl_bench_fill(void *buf, size_t len, uint64_t seed);
/* The next of a sequence of pseudo-random numbers. */
uint64_t ctl_bench_random(uint64_t *state);

#endif
