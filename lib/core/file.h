/* SPDX-License-Identifier: Apache-2.0 */
/* Open files as the files of lib/core see them. */
#ifndef ROS2I_FILE_H
#define ROS2I_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/core/client.h"
#include "lib/core/unsynced.h"
#include "ros2/file.h"

struct ros2_file {
    /* Fixed after open. */
    struct ros2_client *client;
    uint64_t handle;
    bool readable, writable, append, directory;
    char *path; /* for messages */

    struct ros2i_unsynced unsynced;

    pthread_mutex_t
        offset_lock; /* held over a whole read or write: POSIX makes them atomic in respect of the offset */
    uint64_t offset; /* guarded by offset_lock; 0..INT64_MAX */

    /* Guarded by client->lock. */
    bool inherited; /* opened before a fork(): the handle is the parent's to close */
    struct ros2_file *next, *prev;
};

/* Opens a resolved path; flags as on the wire (enum ros2_open_flag). */
int ros2i_file_open(struct ros2_client *client, const char *path, unsigned open_flags,
                    uint32_t mode, uint64_t deadline_ns, struct ros2_file **file_p);
int ros2i_file_sync(struct ros2_file *file, uint64_t deadline_ns);
/* In a forked child: locks are made anew, and the handle is not this process's to close. */
void ros2i_file_after_fork(struct ros2_file *file);

void ros2i_stat_from_attr(const struct ros2_attr *attr, struct stat *st);

#endif
