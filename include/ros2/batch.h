/* SPDX-License-Identifier: Apache-2.0 */
/** Batches: many small files opened, read and closed in two round trips, for loaders of training data. */
#ifndef ROS2_BATCH_H
#define ROS2_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <ros2/client.h>
#include <ros2/file.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROS2_BATCH_MAX 4096 /* items in one call */

/** One read. Zero what is not used. */
struct ros2_batch_item {
    /* What to read: one of the two. */
    const char *path;       /* absolute; opened for this read, and closed behind it */
    struct ros2_file *file; /* open for reading, of the same client */
    uint64_t offset;        /* bytes; offset + len at most INT64_MAX */
    void *buf;              /* len bytes; items' buffers do not overlap */
    size_t len;             /* bytes; 0: a path is opened and closed again, nothing is read */
    /* Results: */
    int64_t result; /* bytes read, less than len only at end of file; or -errno */
    uint64_t
        size; /* of a path: the file's size when it was opened. Above offset + len: there is more of it. 0 when it
                       was not opened, and of a file */
};

/** Zero means the default. */
struct ros2_batch_options {
    size_t size;         /* sizeof(struct ros2_batch_options) */
    uint64_t timeout_ns; /* for the whole call; 0: the client's */
    size_t
        min_done; /* return once as many items have ended, well or not; 0, or more than there are: all */
};

/** Reads many items at once. Paths are opened in one round trip; all data is asked for in the next, in as few requests as it
 * takes, and files are closed behind the caller's back. Buffers that lie side by side are filled without a copy; others of up
 * to 64 KiB are copied into once.
 * client   borrowed until return, like items, their paths and buffers.    items  count of them, 1..ROS2_BATCH_MAX.
 * options  NULL: defaults.
 * Items end on their own: what fails for one (-ENOENT, -EACCES, -EISDIR, -EBADF, -EIO, and what else ros2_open() and
 * ros2_pread() can say; -EINVAL: neither or both of path and file, or a range) is its result, and the others go on. An item
 * that has not ended by the deadline has -ETIMEDOUT; with min_done, one that was given up for it -ECANCELED. After return
 * nothing writes to any buffer, whatever came of its item; a buffer's bytes behind its result may have been zeroed.
 * Bytes that a file gets while it is being read may or may not be among them: a path is read up to its size when it was opened.
 * Threads: any, at once. Blocks: up to the timeout, and at most one and a half seconds longer.
 * Returns how many items have a result of 0 or more; when none has, the error of the first item. -EINVAL (items, count,
 * options): no result is set. Whenever an item failed, ros2_error() names the first of them; with a return of 0 or more
 * look at the results to know whether one did. */
int ros2_batch_read(struct ros2_client *client, struct ros2_batch_item *items, size_t count,
                    const struct ros2_batch_options *options);

#ifdef __cplusplus
}
#endif
#endif
