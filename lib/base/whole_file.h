/* SPDX-License-Identifier: Apache-2.0 */
/* A small file as a whole: certificates, keys, configuration. */
#ifndef ROS2I_WHOLE_FILE_H
#define ROS2I_WHOLE_FILE_H

#include <stddef.h>

/* Reads a regular file of at most max bytes. *data_p is malloc'ed and NUL-terminated (the NUL is not counted); of a
 * secret, wipe *len_p bytes before free(). what names the file in the error text ("CA"). 0, or -ENOENT, -EACCES,
 * -EINVAL (not regular), -EFBIG, -EIO, -ENOMEM. Threads: any. May block (disk). */
int ros2i_whole_file_read(const char *path, const char *what, size_t max, char **data_p,
                          size_t *len_p);
/* The same of a file that must not be open to every user (secret.h): -EACCES. */
int ros2i_whole_file_read_secret(const char *path, const char *what, size_t max, char **data_p,
                                 size_t *len_p);

#endif
