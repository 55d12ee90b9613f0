/* SPDX-License-Identifier: Apache-2.0 */
/* The user's Ctrl-C (or SIGTERM): the first one asks loops to clean up and end, one that comes more than a
 * second later kills. */
#ifndef ROS2CTL_STOP_H
#define ROS2CTL_STOP_H

#include <stdbool.h>

/* Catches SIGINT, SIGTERM and SIGHUP from now on. */
void ctl_stop_catch(void);
bool ctl_stop_asked(void);
/* Dies of the signal that was caught, as the shell expects it; returns when there was none. */
void ctl_stop_die(void);

#endif
