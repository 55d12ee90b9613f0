/* SPDX-License-Identifier: Apache-2.0 */
/* ros2d --ephemeral: a private run directory with a throw-away CA, server certificate and token. Owner: main. */
#ifndef ROS2D_EPHEMERAL_H
#define ROS2D_EPHEMERAL_H

#include "daemon/config.h"

struct ros2d_ephemeral {
    char dir[256];
    char token_file[320];
    char ca_file[320];
};

/* Makes the directory (mode 0700; below $XDG_RUNTIME_DIR, else /tmp) and fills in config's certificates and token.
 * -errno with a text; nothing is left behind then. */
int ros2d_ephemeral_make(struct ros2d_ephemeral *ephemeral, struct ros2d_config *config);
/* Removes what was made. */
void ros2d_ephemeral_remove(const struct ros2d_ephemeral *ephemeral);

#endif
