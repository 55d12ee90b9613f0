/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: names made visible, sizes, times. */
#ifndef ROS2CTL_TEXT_H
#define ROS2CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Length of the UTF-8 sequence at text, 1..4; 0 when its first byte begins none. len: bytes there are, at least 1. */
size_t ctl_utf8_length(const char *text, size_t len);
bool ctl_utf8_valid(const char *text, size_t len);

/* Writes len bytes with control characters, broken UTF-8 and backslashes as \n, \\, \ooo: what a terminal can be given
 * without risk, and what printf(1) turns back. */
void ctl_print_escaped(FILE *stream, const char *text, size_t len);

#define CTL_TEXT_MAX 32 /* what the ones below need */
/* "512 B", "1.5 MiB" */
const char *ctl_format_size(char buf[CTL_TEXT_MAX], double bytes);
/* "0:07", "1:02:33" */
const char *ctl_format_duration(char buf[CTL_TEXT_MAX], double seconds);
/* "drwxr-xr-x" */
const char *ctl_format_mode(char buf[CTL_TEXT_MAX], mode_t mode);
/* "file", "directory", "symlink", ... */
const char *ctl_type_name(mode_t mode);
/* "2026-01-31T12:00:00Z", seconds since 1970 */
const char *ctl_format_time(char buf[CTL_TEXT_MAX], int64_t seconds);

#endif
