/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is to do: options, environment and config file, in that order of precedence, merged and checked. */
#ifndef ROS2I_SETTINGS_H
#define ROS2I_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/core/url.h"
#include "ros2/client.h"

#define ROS2I_TIMEOUT_DEFAULT_NS (30ull * 1000000000ull)
#define ROS2I_TIMEOUT_MAX_NS     (24ull * 3600 * 1000000000ull)

struct ros2i_settings {
    struct ros2i_url url;
    bool plaintext;
    int checksum;        /* 1 on, -1 off, 0: as the daemon asks */
    uint64_t timeout_ns; /* 1..ROS2I_TIMEOUT_MAX_NS */
    /* malloc'ed or NULL: */
    char *token; /* read from its file already; wiped by fini */
    char *ca_file, *cert_file, *key_file, *server_name, *client_name;
    char *transport; /* checked: names with commas between; NULL: as the daemon prefers */
    char *shm_dir;   /* absolute */
    char *networks;  /* checked; NULL: any */
};

/* As ros2_connect() documents its arguments. 0, -EINVAL, -ENOENT, -EACCES, -ENOMEM: the text names option, variable, or
 * file and line. On failure nothing is left to free. */
int ros2i_settings_load(const char *url, const struct ros2_connect_options *options,
                        struct ros2i_settings *settings_p);
void ros2i_settings_fini(struct ros2i_settings *settings);

#endif
