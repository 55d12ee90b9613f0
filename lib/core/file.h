/* SPDX-License-Identifier: Apache-2.0 */
/* Open files as the files of lib/core see them. */
#ifndef ROS2I_FILE_H
#define ROS2I_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/core/client.h"
#include "lib/core/path.h"
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

/* What ros2_open() asks for, as it goes over the wire. The errors of ros2_open() that do not need the daemon. */
int ros2i_file_open_args(const char *path, int flags, struct ros2i_path *resolved,
                         unsigned *open_flags_p);
/* The steps of an open: made, filled from the daemon's answer, linked (client->lock held) to its client. path is resolved. */
int ros2i_file_create(struct ros2_client *client, const char *path, struct ros2_file **file_p);
void ros2i_file_opened(struct ros2_file *file, const struct ros2i_open_item *item);
void ros2i_file_link(struct ros2_file *file);
/* Those of a close: unlinked (client->lock held), which tells whether it is another process's to close; freed. */
bool ros2i_file_unlink(struct ros2_file *file);
void ros2i_file_free(struct ros2_file *file);
/* What became of telling the daemon: rc 0: well. has_text: this thread's text is the cause. */
void ros2i_file_log_close(const struct ros2_file *file, int rc, bool has_text);

/* Opens a resolved path; flags as on the wire (enum ros2_open_flag). */
int ros2i_file_open(struct ros2_client *client, const char *path, unsigned open_flags,
                    uint32_t mode, uint64_t deadline_ns, struct ros2_file **file_p);
int ros2i_file_sync(struct ros2_file *file, uint64_t deadline_ns);
/* In a forked child: locks are made anew, and the handle is not this process's to close. */
void ros2i_file_after_fork(struct ros2_file *file);

/* Attributes of a resolved path. directory: it can only name one. */
int ros2i_path_stat(struct ros2_client *client, const char *path, bool directory,
                    uint64_t deadline_ns, struct ros2_attr *attr);
void ros2i_stat_from_attr(const struct ros2_attr *attr, struct stat *st);

#endif
