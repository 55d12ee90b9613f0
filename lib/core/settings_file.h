/* SPDX-License-Identifier: Apache-2.0 */
/* The client's config file: YAML, flat, every key optional. */
#ifndef ROS2I_SETTINGS_FILE_H
#define ROS2I_SETTINGS_FILE_H

#include <stdint.h>

/* NULL: the file does not say. */
struct ros2i_settings_file {
    char *url, *token_file, *ca_file, *cert_file, *key_file, *server_name;
    uint64_t *timeout_ms; /* 1..86400000 */
    char *checksum;       /* "on", "off", "auto" */
    char *transport, *shm_dir, *networks;
};

/* 0; -ENOENT; -EACCES; -EINVAL: the text names file, line and key. Free with ros2i_settings_file_free(). */
int ros2i_settings_file_load(const char *path, struct ros2i_settings_file **file_p);
void ros2i_settings_file_free(struct ros2i_settings_file *file);

#endif
