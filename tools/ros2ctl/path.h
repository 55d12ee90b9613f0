/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text. Results are malloc'ed; NULL: out of memory. */
#ifndef ROS2CTL_PATH_H
#define ROS2CTL_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* "/a" and "b" to "/a/b"; one slash between them, however many there were. name "" gives directory. */
char *ctl_path_join(const char *directory, const char *name);
/* Last component without trailing slashes: "/a/b/" to "b". "", when that is no name: "/", ".", "..". */
char *ctl_path_basename(const char *path);
/* What is in front of the last component: "/a/b" to "/a", "/b" to "/", "b" to ".". */
char *ctl_path_dirname(const char *path);
/* A name of a directory entry that is safe to append to a path: not "", ".", "..", and without a slash. */
bool ctl_path_is_name(const char *name);
bool ctl_path_ends_in_slash(const char *path);

#define CTL_TMP_PREFIX ".ros2ctl-"
/* A new hidden name in the directory of path, for a file that gets its final name when it is whole. NULL: also
 * without entropy. */
char *ctl_path_temporary(const char *path);

#endif
