/* SPDX-License-Identifier: Apache-2.0 */
/* Makes untrusted bytes safe to show: what comes out is one line of valid UTF-8 without control characters. */
#ifndef ROS2I_ESCAPE_H
#define ROS2I_ESCAPE_H

#include <stddef.h>

/* Writes text (NUL-terminated) to out, NUL-terminated, at most out_len bytes with the NUL (out_len >= 4). Control
 * characters (C0, DEL, C1) and bytes that are not UTF-8 become \xNN; what does not fit is cut between characters and
 * ends in "...". text and out do not overlap. Returns the length written. Threads: any. Never allocates. */
size_t ros2i_escape(char *out, size_t out_len, const char *text);

#endif
