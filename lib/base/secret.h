/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: wiped after use, compared in constant time. */
#ifndef ROS2I_SECRET_H
#define ROS2I_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

void ros2i_wipe(void *buf, size_t len); /* not optimised away */
bool ros2i_secret_equal(const void *a, const void *b, size_t len);
/* 0, or -EACCES: every user can read, write or run the file. */
int ros2i_secret_check_mode(const struct stat *st, const char *path, const char *what);
/* Reads a secret from a file: first line without its newline, at most max bytes. The file must be regular and not
 * readable by others (mode & 007 == 0). Result is malloc'ed; free with ros2i_secret_free. what: for the error text. */
int ros2i_secret_read_file(const char *path, const char *what, size_t max, char **secret_p);
void ros2i_secret_free(char *secret);

#endif
