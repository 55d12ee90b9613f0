/* SPDX-License-Identifier: Apache-2.0 */
/** Files: open, read, write, sync. Flags are those of <fcntl.h>.
 *
 * A buffer given to a call belongs to libros2 until the call returns; then nothing, neither daemon nor network card,
 * touches it again, also after a timeout or a lost daemon. Transfers are split as needed; there is no size limit below
 * SSIZE_MAX. EINTR never surfaces, SIGPIPE is never raised. */
#ifndef ROS2_FILE_H
#define ROS2_FILE_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <ros2/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ros2_file;

int ros2_open(struct ros2_client *client, const char *path, int flags, mode_t mode, struct ros2_file **file_p);
int ros2_close(struct ros2_file *file);
ssize_t ros2_pread(struct ros2_file *file, void *buf, size_t len, uint64_t offset);
ssize_t ros2_pwrite(struct ros2_file *file, const void *buf, size_t len, uint64_t offset);
ssize_t ros2_read(struct ros2_file *file, void *buf, size_t len);
ssize_t ros2_write(struct ros2_file *file, const void *buf, size_t len);
int64_t ros2_lseek(struct ros2_file *file, int64_t offset, int whence);
int ros2_fsync(struct ros2_file *file);
int ros2_fstat(struct ros2_file *file, struct stat *st);

#ifdef __cplusplus
}
#endif
#endif
