/* SPDX-License-Identifier: Apache-2.0 */
/** The namespace: stat, directories, rename. Paths are absolute; "." and ".." are resolved as text, so "a/../b" is "b"
 * also where "a" is a symlink or does not exist.
 *
 * Every call here talks to the daemon, blocks up to ros2_connect_options.timeout_ns and may be called from any thread,
 * many at once. Besides what each names it can return -EINVAL (the path is NULL or not absolute), -ENOENT (a part of
 * the path does not exist, or it is empty), -ENOTDIR (a part of it is no directory), -ENAMETOOLONG (a name above 255
 * bytes, a path above 4095), -ELOOP, -EXDEV (a symlink leads out of the tenant's root), -EACCES (rights of the token or of
 * a directory), -EIO, -ETIMEDOUT, -EHOSTUNREACH, -ECONNREFUSED, -ESTALE (the session is gone: connect again) and -ENOMEM.
 * A call that changes something takes effect once, also when the connection breaks under it. When no answer came at all
 * (-ETIMEDOUT, -ESTALE, -ECONNREFUSED, ...) it may not be known whether it did; the text then says so. */
#ifndef ROS2_NAMESPACE_H
#define ROS2_NAMESPACE_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <ros2/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ros2_dir;

struct ros2_dirent {
    const char
        *name; /* NUL-terminated; valid until the next readdir or closedir of this directory */
    uint64_t cookie; /* the entry's place in the directory; only equal to itself */
};

/** Attributes of what path names; symlinks are followed.
 * st  borrowed until return, untouched on failure.
 * Returns 0 or an error as above; -ENOTDIR too when path ends in '/' and is no directory. Source: POSIX stat(). */
int ros2_stat(struct ros2_client *client, const char *path, struct stat *st);

/** Makes a directory. mode: permission bits, taken as they are: the umask is not applied.
 * Returns 0 or -EEXIST, -ENOSPC, -EDQUOT, -EMLINK, -EROFS, or an error as above. Source: POSIX mkdir(). */
int ros2_mkdir(struct ros2_client *client, const char *path, mode_t mode);

/** Removes a file's name, or a symlink itself. Open files stay readable and writable until they are closed.
 * Returns 0 or -EISDIR (a directory, or path ends in '/'), -EROFS, or an error as above. Source: POSIX unlink(). */
int ros2_unlink(struct ros2_client *client, const char *path);

/** Removes an empty directory.
 * Returns 0 or -ENOTEMPTY, -EBUSY (the root), -EROFS, or an error as above. Source: POSIX rmdir(). */
int ros2_rmdir(struct ros2_client *client, const char *path);

/** Renames atomically; what "to" named before is replaced (a directory only when it is empty).
 * from, to: borrowed until return.
 * Returns 0 or -EEXIST or -ENOTEMPTY ("to" is a directory with entries), -EISDIR ("to" is a directory and "from" is not),
 * -ENOTDIR (the other way round, or either ends in '/' and "from" is no directory), -EINVAL ("to" lies below "from"),
 * -ENOSPC, -EDQUOT, -EROFS, or an error as above. Source: POSIX rename(). */
int ros2_rename(struct ros2_client *client, const char *from, const char *to);

/** Makes a finished file visible under its final name so that after a crash there is all of it or nothing: fsync of tmp,
 * rename to final, fsync of the directory of final. Who writes a checkpoint to a temporary name, closes it, and publishes
 * it, never leaves half a one behind.
 * tmp, final: borrowed until return; in the same file system, tmp closed or not written to meanwhile.
 * Returns 0 or the errors of ros2_open(), ros2_fsync() and ros2_rename(); the text says which step failed. When that is the
 * last, final is there and may not outlive a crash: call it again with final as both names. But after -ESTALE, of this or of
 * any call since tmp was written, do not just repeat it: what was written to tmp may be lost, so write it again first. */
int ros2_publish(struct ros2_client *client, const char *tmp, const char *final);

/** Begins to read a directory. Entries made or removed meanwhile may or may not be given; a name that is there throughout
 * is given once.
 * client  borrowed until ros2_closedir().    dir_p  set on success; end with ros2_closedir().
 * Returns 0, or an error as above. Source: POSIX opendir(). */
int ros2_opendir(struct ros2_client *client, const char *path, struct ros2_dir **dir_p);

/** The next entry, without "." and "..", in no order. Names come in pages of up to 512, so that memory stays bounded and
 * most calls do not reach the daemon.
 * dir    one thread at a time.    entry  filled on 1; its name is borrowed from dir, see there.
 * Returns 1: an entry; 0: the end; or an error as above, after which the call may be repeated. Source: POSIX readdir(). */
int ros2_readdir(struct ros2_dir *dir, struct ros2_dirent *entry);

/** Ends reading and frees dir, which may be NULL. Does not block. Cannot fail. */
void ros2_closedir(struct ros2_dir *dir);

#ifdef __cplusplus
}
#endif
#endif
