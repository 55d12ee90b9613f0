/* SPDX-License-Identifier: Apache-2.0 */
/* A transfer: the list of files that put or get will copy, and the threads that copy them. */
#ifndef ROS2CTL_TRANSFER_H
#define ROS2CTL_TRANSFER_H

#include "tools/ros2ctl/ctl.h"
#include "tools/ros2ctl/progress.h"

#define CTL_TRANSFER_BUFFER (4u << 20) /* bytes a thread moves at a time */
#define CTL_JOBS_MAX        256

struct ctl_item {
    size_t root; /* index into roots */
    char *rel;   /* from the root; "": the root itself */
    mode_t mode; /* permission bits that the copy gets */
};

struct ctl_root {
    char *from, *to;
};

struct ctl_transfer;

/* Copies one file, with buf (CTL_TRANSFER_BUFFER bytes) as the thread's own memory. Any thread. CTL_OK, or CTL_FAILURE
 * after the error line. */
typedef int ctl_copy_fn(struct ctl_transfer *transfer, const char *from, const char *to,
                        mode_t mode, void *buf);

/* Filled by the main thread, then fixed while the threads run, but for progress, next and failed. */
struct ctl_transfer {
    struct ctl *ctl;
    unsigned jobs;
    bool recursive, sync, quiet, follow; /* follow: links of the local tree */
    ctl_copy_fn *copy;
    struct ctl_root *roots;
    size_t root_count;
    struct ctl_item *items;
    size_t item_count, item_capacity;
    uint64_t total_bytes;
    struct ctl_progress progress;
    _Atomic size_t next, failed;
    _Atomic unsigned running;
};

/* The options of put and get (--recursive, --jobs, --no-sync, --quiet), an argp child; input struct ctl_transfer. */
extern const struct argp ctl_transfer_argp;

/* Adds a pair of trees (both are owned from now on, also on failure). 0 or -ENOMEM. */
int ctl_transfer_add_root(struct ctl_transfer *transfer, char *from, char *to);
/* Adds a file of the newest root. 0 or -ENOMEM. */
int ctl_transfer_add_item(struct ctl_transfer *transfer, const char *rel, uint64_t size,
                          mode_t mode);
/* Copies all items with transfer->jobs threads, shows progress, prints the JSON summary when asked to. code: of what
 * went before. Goes on after failures; ends early when the user interrupts. Returns the exit code. */
int ctl_transfer_run(struct ctl_transfer *transfer, int code);
void ctl_transfer_free(struct ctl_transfer *transfer);

#endif
