/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs, a file each. argv[0] is "ros2ctl VERB". Each returns the exit code. */
#ifndef ROS2CTL_VERBS_H
#define ROS2CTL_VERBS_H

#include "tools/ros2ctl/ctl.h"

typedef int ctl_verb_fn(struct ctl *ctl, int argc, char **argv);

ctl_verb_fn ctl_bench, ctl_cat, ctl_doctor, ctl_get, ctl_ls, ctl_mkdir, ctl_mv, ctl_ping, ctl_put,
    ctl_rm, ctl_stat, ctl_sum, ctl_tls, ctl_transports;

#endif
