/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs whose arguments are just paths: their command line. */
#ifndef ROS2CTL_PATHS_H
#define ROS2CTL_PATHS_H

#include "tools/ros2ctl/ctl.h"

struct ctl_paths {
    struct ctl *ctl;
    char **path;
    size_t count;
};

/* An argp parser for ARGP_KEY_INIT, ARGS and NO_ARGS; others: ARGP_ERR_UNKNOWN. needed: fewer is an error of usage. */
error_t ctl_paths_parse(struct ctl_paths *paths, int key, struct argp_state *state, size_t needed);

#endif
