/* SPDX-License-Identifier: Apache-2.0 */
/** Files: open, read, write, sync. Flags are those of <fcntl.h>.
 *
 * A buffer given to a call belongs to libros2 until the call returns; then nothing, neither daemon nor network card,
 * touches it again, also after a timeout or a lost daemon. Transfers are split as needed; there is no size limit below
 * SSIZE_MAX. EINTR never surfaces, SIGPIPE is never raised.
 *
 * Every call that talks to the daemon has the deadline of ros2_connect_options.timeout_ns; it rides over lost
 * connections inside it, and ends at most one second later. Any of them can also return -ESTALE (the daemon was
 * restarted or the session expired: connect again, reopen the files, and write again what was not synced: it may be lost),
 * -ENOMEM, and in a forked child the errors of attaching it
 * (-EACCES, -EHOSTUNREACH, -ECONNREFUSED). -ETIMEDOUT: nobody answered in time, or there was no connection; the text
 * names the last cause. */
#ifndef ROS2_FILE_H
#define ROS2_FILE_H

#include <fcntl.h> /* the O_ flags of ros2_open() */
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <ros2/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ros2_file;

/** Opens a file or, for reading, a directory.
 * client  borrowed until ros2_close().    path    absolute, borrowed until return; "." and ".." are resolved as text.
 * flags   one of O_RDONLY, O_WRONLY, O_RDWR; with O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW;
 *         O_CLOEXEC, O_NOCTTY and O_LARGEFILE have no effect. Others are refused, not ignored.
 * mode    permission bits of a new file, taken as they are: the process's umask is not applied.
 * file_p  set on success; end with ros2_close().
 * Threads: any. Blocks: one round trip, up to timeout_ns.
 * Returns 0 or -EINVAL (flags; path not absolute), -ENOENT, -EEXIST, -EACCES (rights of the token or the file), -EROFS,
 * -EISDIR (writing a directory), -ENOTDIR, -ELOOP (O_NOFOLLOW and a symlink, or too many), -EXDEV (a symlink leads out
 * of the tenant's root), -ENAMETOOLONG (a name above 255 bytes, a path above 4095), -EMFILE, -EDQUOT (the tenant's open
 * files), -ENOSPC, -ETIMEDOUT. Source: POSIX open(). */
int ros2_open(struct ros2_client *client, const char *path, int flags, mode_t mode,
              struct ros2_file **file_p);

/** Closes file and frees it. No other thread may be in a call on it. file may be NULL.
 * What was written stays written; only ros2_fsync() makes it durable. After fork() a child's close leaves the file open
 * in the parent, and the parent's close ends it in the child too.
 * Threads: any. Blocks: one round trip, up to timeout_ns.
 * Returns 0, always: what the daemon could not be told ends with the session. Source: POSIX close(). */
int ros2_close(struct ros2_file *file);

/** Reads at an offset: fills buf from [offset, offset + len), short only at end of file.
 * file    borrowed until return.    buf     borrowed until return, also on error; then nothing writes to it.
 * len     bytes, 0..SSIZE_MAX.      offset  bytes, 0..INT64_MAX - len.
 * Threads: any, at once. Blocks: up to timeout_ns.
 * Returns bytes read, 0 at or past the end of file, or -EBADF (not open for reading, or closed by a forked parent),
 * -EINVAL (range), -EFAULT (buf is NULL), -EISDIR, -EACCES (rights were revoked), -ETIMEDOUT, -EIO (the data's checksum
 * differed twice, or the engine failed); the content of buf is then undefined. Source: POSIX pread(). */
ssize_t ros2_pread(struct ros2_file *file, void *buf, size_t len, uint64_t offset);

/** Writes all of buf at an offset, or fails. To a file opened with O_APPEND it writes at the end of the file, whatever
 * offset says, as on Linux.
 * file    borrowed until return.    buf     borrowed until return, only read from.
 * len     bytes, 0..SSIZE_MAX.      offset  bytes, 0..INT64_MAX - len.
 * Appends: the daemon chooses the place, so that appends of many clients never mix, up to the daemon's max_io (1 MiB by
 * default); a longer one is written in order, in pieces between which others may come.
 * Threads: any, at once. Blocks: up to timeout_ns.
 * Returns len, or -EBADF (not open for writing), -EINVAL (range), -EFAULT (buf is NULL), -EISDIR, -EACCES, -ENOSPC,
 * -EDQUOT, -EFBIG, -EROFS, -EIO, -ETIMEDOUT (whether it was written is not known), -ENOTRECOVERABLE (append: the
 * connection was lost after it was sent, and it is not repeated; whether it was written is not known). The text of an
 * error says how many bytes are written. Source: POSIX pwrite(). */
ssize_t ros2_pwrite(struct ros2_file *file, const void *buf, size_t len, uint64_t offset);

/** Reads at the file's offset and moves it on by what was read. One call at a time moves the offset: reads and writes of
 * several threads do not overlap. After fork() parent and child have offsets of their own.
 * Arguments, threads, blocking, result: as ros2_pread(); another thread's call on the same offset is waited for, too.
 * Source: POSIX read(). */
ssize_t ros2_read(struct ros2_file *file, void *buf, size_t len);

/** Writes at the file's offset (O_APPEND: at the end of the file) and moves it behind what was written.
 * Arguments, threads, blocking, result: as ros2_pwrite(), and like ros2_read() in respect of the offset.
 * Source: POSIX write(). */
ssize_t ros2_write(struct ros2_file *file, const void *buf, size_t len);

/** Sets the file's offset. It may be past the end of file: a write there leaves a hole that reads as zeros.
 * offset  bytes, may be negative.    whence  SEEK_SET, SEEK_CUR (the present offset) or SEEK_END (the file's size).
 * Threads: any. Blocks: for a call that uses the offset; SEEK_END: one round trip, up to timeout_ns.
 * Returns the new offset, or -EINVAL (whence; below 0), -EOVERFLOW (above INT64_MAX), and for SEEK_END the errors of
 * ros2_fstat(). On failure the offset is as before. Source: POSIX lseek(). */
int64_t ros2_lseek(struct ros2_file *file, int64_t offset, int whence);

/** Makes durable all that was written to the file before the call, by anyone.
 * Threads: any, at once. Blocks: up to timeout_ns.
 * Returns 0 or -EBADF, -EINVAL, -EIO (the engine could not write, or the storage was restarted since writes of this
 * file that were acknowledged and not synced, so they may be lost: told once, write again), -ENOSPC, -EDQUOT, -EROFS,
 * -ETIMEDOUT (what is durable is not known). After -ESTALE a fsync of the file reopened does not vouch for writes made before:
 * they may be lost, and have to be made again. Source: POSIX fsync(). */
int ros2_fsync(struct ros2_file *file);

/** The file's attributes. st_dev and st_ino tell files of one daemon apart.
 * st  borrowed until return, untouched on failure.
 * Threads: any, at once. Blocks: one round trip, up to timeout_ns.
 * Returns 0 or -EBADF, -EIO, -ETIMEDOUT. Source: POSIX fstat(). */
int ros2_fstat(struct ros2_file *file, struct stat *st);

#ifdef __cplusplus
}
#endif
#endif
