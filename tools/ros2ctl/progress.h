/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line of a transfer: on stderr, and only when that is a terminal. Owner: the main thread; only bytes and
 * files may be counted from others. */
#ifndef ROS2CTL_PROGRESS_H
#define ROS2CTL_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_PROGRESS_INTERVAL_MS 200

struct ctl_progress {
    bool shown;
    uint64_t total_bytes; /* 0: not known */
    size_t total_files;
    uint64_t start_ns, last_ns, last_bytes;
    double rate; /* bytes/s, smoothed */
    _Atomic uint64_t bytes;
    _Atomic size_t files;
};

uint64_t ctl_now_ns(void);

/* quiet: no line on a terminal either. */
void ctl_progress_start(struct ctl_progress *progress, uint64_t total_bytes, size_t total_files,
                        bool quiet);
/* Draws the line anew; call it every CTL_PROGRESS_INTERVAL_MS. */
void ctl_progress_tick(struct ctl_progress *progress);
/* Wipes the line and, on a terminal, says what was done. Returns the seconds since the start. */
double ctl_progress_end(struct ctl_progress *progress);

#endif
