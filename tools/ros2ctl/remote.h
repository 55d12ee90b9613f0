/* SPDX-License-Identifier: Apache-2.0 */
/* The store's directories, as the verbs want them: listed whole, walked, asked about. All calls block on the daemon;
 * each failure has had its error line when they return. */
#ifndef ROS2CTL_REMOTE_H
#define ROS2CTL_REMOTE_H

#include "tools/ros2ctl/ctl.h"

struct ctl_names {
    char **name; /* sorted by bytes */
    size_t count, capacity;
};

/* All names of a directory, without "." and "..". CTL_OK, or CTL_FAILURE with *names empty. */
int ctl_remote_list(const struct ctl *ctl, const char *path, struct ctl_names *names);
void ctl_names_free(struct ctl_names *names);

/* What a walk meets: each file, each directory before what is in it. path and rel (from the walk's root, "" for that
 * itself) are borrowed. CTL_OK, or CTL_FAILURE: remembered, and what is below a directory is left out. */
typedef int ctl_visit_fn(void *arg, const char *path, const char *rel, const struct stat *st);
/* Walks path and, with recursive, all below; goes on after failures. Returns CTL_OK or CTL_FAILURE. A directory that
 * contains itself (through a symbolic link) is a failure. */
int ctl_remote_walk(const struct ctl *ctl, const char *path, bool recursive, ctl_visit_fn *visit,
                    void *arg);

/* Where SOURCE goes: DEST itself, or DEST/NAME when into (DEST is a directory). NULL: out of memory, no line yet. */
char *ctl_target(const char *source, const char *dest, bool into);
/* Whether all sources can go into the directory dest: two of the same name would overwrite one another. CTL_OK, or
 * CTL_FAILURE after the error line. */
int ctl_check_targets(const struct ctl *ctl, char *const *sources, size_t count, const char *dest);
/* Is path a directory in the store? 1, 0 (something else, or nothing), -1 after the error line. */
int ctl_remote_is_directory(const struct ctl *ctl, const char *path);

#endif
