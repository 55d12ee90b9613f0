/* SPDX-License-Identifier: Apache-2.0 */
/* Per-thread error text: whoever first sees a failure sets it, callers pass the number on. */
#ifndef ROS2I_ERROR_H
#define ROS2I_ERROR_H

#include <stdint.h>

#include "ros2/plugin.h"

#define ROS2I_ERROR_MAX 1024

/* Sets this thread's text; returns -err. err > 0. Control characters in arguments are made visible. Never allocates. */
int ros2i_fail(int err, const char *fmt, ...) ROS2_PRINTF(2, 3);
/* Puts "prefix: " before the current text; returns the negative errno it was given. */
int ros2i_fail_prefix(int negative_errno, const char *fmt, ...) ROS2_PRINTF(2, 3);
/* This thread's text, "" when nothing failed yet. Valid until this thread's next failure. */
const char *ros2i_error(void);
/* A thread-safe strerror: a constant name and text, e.g. "No such file or directory". */
const char *ros2i_strerror(int err);

/* An errno that a peer sent, as it is for the caller: EINTR, the kernel's own restart codes, and what is none become EIO. */
int ros2i_errno_received(int64_t err);

#endif
