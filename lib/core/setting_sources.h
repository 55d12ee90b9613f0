/* SPDX-License-Identifier: Apache-2.0 */
/* Where a client's settings come from: the caller, the environment, the config file. */
#ifndef ROS2I_SETTING_SOURCES_H
#define ROS2I_SETTING_SOURCES_H

#include "lib/core/settings_file.h"
#include "ros2/client.h"

enum ros2i_setting {
    ROS2I_SETTING_URL,
    ROS2I_SETTING_TOKEN_FILE,
    ROS2I_SETTING_CA_FILE,
    ROS2I_SETTING_CERT_FILE,
    ROS2I_SETTING_KEY_FILE,
    ROS2I_SETTING_SERVER_NAME,
    ROS2I_SETTING_TRANSPORT,
    ROS2I_SETTING_SHM_DIR,
    ROS2I_SETTING_NETWORKS,
    ROS2I_SETTING_COUNT
};

struct ros2i_setting_sources {
    const char *url; /* the caller's */
    struct ros2_connect_options options;
    struct ros2i_settings_file *file; /* NULL: there is none */
    char path[4096];                  /* the file's */
};

/* Checks the options and reads the file. 0, -EINVAL, -ENOENT, -EACCES, -ENOMEM: the text names option, or file and line. */
int ros2i_setting_sources_open(const char *url, const struct ros2_connect_options *options,
                               struct ros2i_setting_sources *sources);
void ros2i_setting_sources_close(struct ros2i_setting_sources *sources);
/* The value, from the first source that has one, or NULL; borrowed. *source_p: "option", the variable's name or the
 * file's path. */
const char *ros2i_setting_find(const struct ros2i_setting_sources *sources,
                               enum ros2i_setting setting, const char **source_p);

#endif
