/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on the command line. All return false, and leave *value_p, when text is no such number or out of range. */
#ifndef ROS2CTL_PARSE_H
#define ROS2CTL_PARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* "4096", "4k", "1M", "2GiB": powers of 1024. min..max bytes. */
bool ctl_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *value_p);
bool ctl_parse_count(const char *text, unsigned min, unsigned max, unsigned *value_p);
/* "1.5" to nanoseconds; above 0, at most max seconds. */
bool ctl_parse_seconds(const char *text, unsigned max, uint64_t *ns_p);
/* Octal permission bits, 0..0777. */
bool ctl_parse_mode(const char *text, mode_t *mode_p);

#endif
