/* SPDX-License-Identifier: Apache-2.0 */
/* The process's signal dispositions, before and after code of others. */
#ifndef ROS2I_SIGNALS_H
#define ROS2I_SIGNALS_H

#include <signal.h>

#define ROS2I_SIGNALS 64 /* Linux: 1..64; index 0 is not used */

/* The caller holds the plugin loader's mutex from one to the other. */
void ros2i_signals_save(struct sigaction saved[ROS2I_SIGNALS + 1]);
/* Puts back those that have changed since. */
void ros2i_signals_restore(const struct sigaction saved[ROS2I_SIGNALS + 1]);

#endif
