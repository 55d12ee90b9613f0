/* SPDX-License-Identifier: Apache-2.0 */
/* A batch between its files: batch.c checks, opens and reports, batch_read.c reads. Owner: the calling thread. */
#ifndef ROS2I_BATCH_H
#define ROS2I_BATCH_H

#include <stdbool.h>

#include "lib/core/client.h"
#include "lib/core/queue.h"
#include "ros2/batch.h"

/* What is known of one item beside what the caller sees. */
struct ros2i_batch_unit {
    uint64_t handle;
    size_t len;     /* to be read: the item's, or less where the file is known to end before */
    char *own_path; /* resolved, where the caller's path is not; freed with the batch */
    bool ended;     /* the item has its result */
};

struct ros2i_batch {
    struct ros2_client *client;
    struct ros2i_queue *queue;
    struct ros2_batch_item *item;
    struct ros2i_batch_unit *unit;
    size_t count, ended, min_done;
    uint64_t deadline_ns;
    /* For the log. later: requests that had to wait for an answer to another one. */
    unsigned control_calls, requests, later;
    /* The first item that failed, and why. */
    size_t failed_at, failed_count;
    char failed_text[400];
};

/* Item i has its result; text: why, when it is negative. */
void ros2i_batch_end(struct ros2i_batch *batch, size_t i, int64_t result, const char *text);
/* Reads all that have not ended, which ends them. */
void ros2i_batch_transfer(struct ros2i_batch *batch);

#endif
