/* SPDX-License-Identifier: Apache-2.0 */
/** Data sets: listing all of one with attributes, and an index of it that the processes of one host share.
 *
 * A loader needs the names and sizes of millions of files before it can shuffle them, in each of its workers and in each
 * run. The listing takes one pass over the control plane. The index keeps what it found in a file that workers map. */
#ifndef ROS2_INDEX_H
#define ROS2_INDEX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <ros2/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROS2_LIST_RECURSIVE 1u /* also what lies in directories below; symlinks are not followed */

/** One entry of a listing. path: from the listed directory on, without a '/' in front. Both are borrowed until return. The
 * function may call libros2. Returns 0 to go on; anything else ends the listing. */
typedef int ros2_list_fn(void *arg, const char *path, const struct stat *st);

/** Calls fn for each entry of a directory, with its attributes, in no order; one request brings hundreds of entries. What is
 * made or removed meanwhile may or may not be given. A directory that is removed before its turn is passed over.
 * client  borrowed until return.    path  absolute.    flags  ROS2_LIST_*.    arg  passed to fn.
 * Threads: any, at once. Blocks: up to timeout_ns for each request to the daemon.
 * Returns how many entries were given, or -EINVAL (path, flags, fn), -ENOTDIR, -ELOOP (directories nested below a path of
 * 4095 bytes), -ENOMEM, or an error of namespace.h. */
int64_t ros2_list_with_attributes(struct ros2_client *client, const char *path, unsigned flags,
                                  ros2_list_fn *fn, void *arg);

struct ros2_index;

#define ROS2_INDEX_REFRESH 1u /* list anew, whatever is there */

/** Zero it, set size, then what is needed: zero means the default, so the struct can grow. */
struct ros2_index_options {
    size_t size;    /* sizeof(struct ros2_index_options) */
    unsigned flags; /* ROS2_INDEX_* */
    const char *
        dir; /* where indexes are kept: a directory of this user's that nobody else can write to; default:
                          * $XDG_RUNTIME_DIR/ros2, else /dev/shm/ros2-UID, made when it is not there */
    uint64_t max_age_ns; /* an older one is made anew; 0: one hour */
};

/** A regular file of the data set. */
struct ros2_index_entry {
    const char *path; /* from the indexed directory on; borrowed from the index */
    uint64_t size;    /* bytes, when it was listed */
    int64_t mtime_ns; /* since 1970-01-01 UTC */
};

/** Opens the index of all regular files below a directory. The first process of this user and host that asks makes it, by a
 * recursive listing; others wait for it, and then all map the same file. It is made anew when the directory itself has
 * changed, when it is older than max_age_ns, and when it is damaged; one that a process was making when it was killed is no
 * obstacle. A file deeper down that has changed since is not noticed.
 * client   borrowed until return.    path  absolute.    options  borrowed until return; NULL: defaults.
 * index_p  set on success; end with ros2_index_close(). Not inherited with a meaning of its own: a forked child may go on
 *          using it and closes its own.
 * Threads: any, at once. Blocks: as long as a listing takes, its own or another process's; waiting for another process ends
 * after the client's timeout_ns.
 * Returns 0 or -EINVAL (options), -EACCES (the directory for indexes is not this user's alone), -ETIMEDOUT (another process
 * is still making it), -ENOSPC, -EMFILE, -ENOMEM, or an error of ros2_list_with_attributes(). */
int ros2_index_open(struct ros2_client *client, const char *path,
                    const struct ros2_index_options *options, struct ros2_index **index_p);
/** How many files it has. Threads: any. Does not block, cannot fail. */
uint64_t ros2_index_count(const struct ros2_index *index);
/** File number, 0..count-1, in the order of their paths' bytes.
 * entry_p  filled; its path is valid until ros2_index_close().
 * Threads: any. Does not block. Returns 0 or -ERANGE (no such number). */
int ros2_index_get(const struct ros2_index *index, uint64_t number,
                   struct ros2_index_entry *entry_p);
/** The number of the file with this path (as in struct ros2_index_entry).
 * Threads: any. Does not block. Returns its number, or -ENOENT. */
int64_t ros2_index_find(const struct ros2_index *index, const char *path);
/** Unmaps and frees it; may be NULL. The file stays for others. Threads: the last user. Does not block, cannot fail. */
void ros2_index_close(struct ros2_index *index);

#ifdef __cplusplus
}
#endif
#endif
