/* SPDX-License-Identifier: Apache-2.0 */
/* ros2://HOST[:PORT] taken apart. */
#ifndef ROS2I_URL_H
#define ROS2I_URL_H

#include <stdbool.h>
#include <stdint.h>

#define ROS2I_DEFAULT_PORT 7720
#define ROS2I_HOST_MAX     256 /* with NUL: a DNS name has at most 253 bytes */

struct ros2i_url {
    char host[ROS2I_HOST_MAX]; /* name or address, without brackets, with its scope id */
    uint16_t port;
    bool v6; /* it was in brackets */
};

/* 0, or -EINVAL: the text names the part that is wrong and what is expected. */
int ros2i_url_parse(const char *text, struct ros2i_url *url_p);

#endif
