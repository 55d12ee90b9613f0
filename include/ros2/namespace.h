/* SPDX-License-Identifier: Apache-2.0 */
/** The namespace: stat, directories, rename. Paths are absolute; "." and ".." are resolved as text. */
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
    const char *name; /* NUL-terminated; valid until the next readdir or closedir of this directory */
    uint64_t cookie;
};

int ros2_stat(struct ros2_client *client, const char *path, struct stat *st);
int ros2_mkdir(struct ros2_client *client, const char *path, mode_t mode);
int ros2_unlink(struct ros2_client *client, const char *path);
int ros2_rmdir(struct ros2_client *client, const char *path);
int ros2_rename(struct ros2_client *client, const char *from, const char *to);
int ros2_publish(struct ros2_client *client, const char *tmp, const char *final);
int ros2_opendir(struct ros2_client *client, const char *path, struct ros2_dir **dir_p);
int ros2_readdir(struct ros2_dir *dir, struct ros2_dirent *entry); /* 1: an entry, 0: the end */
void ros2_closedir(struct ros2_dir *dir);

#ifdef __cplusplus
}
#endif
#endif
