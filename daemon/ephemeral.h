/* SPDX-License-Identifier: Apache-2.0 */
/* ros2d --ephemeral: a daemon to try things with. Certificates and a token are made for this run and removed after it. */
#ifndef ROS2D_EPHEMERAL_H
#define ROS2D_EPHEMERAL_H

#include <stdio.h>

#include "daemon/config.h"

struct ros2d_ephemeral;

/* Fills config (of ros2d_config_defaults) to serve the directory root at the control address listen. run_dir: where the
 * files go, made when it is not there; NULL: a new folder in $XDG_RUNTIME_DIR or /tmp. */
int ros2d_ephemeral_create(struct ros2d_config *config, const char *root, const char *listen,
                           const char *run_dir, struct ros2d_ephemeral **ephemeral_p);
/* Shell lines that let clients find it. address: as the control plane is bound. */
void ros2d_ephemeral_print(const struct ros2d_ephemeral *ephemeral, const char *address,
                           FILE *stream);
/* Removes the files, and the folder when it was made by create. NULL is fine. */
void ros2d_ephemeral_destroy(struct ros2d_ephemeral *ephemeral);

#endif
