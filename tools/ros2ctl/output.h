/* SPDX-License-Identifier: Apache-2.0 */
/* What ros2ctl prints: error lines, names, JSON. Error lines may come from any thread. */
#ifndef ROS2CTL_OUTPUT_H
#define ROS2CTL_OUTPUT_H

#include <jansson.h>

#include "ros2/plugin.h"
#include "tools/ros2ctl/ctl.h"

/* One line to stderr, "ros2ctl: VERB: text", control characters made visible. Returns CTL_FAILURE. */
int ctl_error(const struct ctl *ctl, const char *fmt, ...) ROS2_PRINTF(2, 3);
/* The same with the calling thread's ros2_error(). */
int ctl_fail_ros2(const struct ctl *ctl);
/* The same with "what path: text of err". */
int ctl_fail_errno(const struct ctl *ctl, const char *what, const char *path, int err);
int ctl_fail_memory(const struct ctl *ctl);

/* A name: escaped on a terminal, raw in a pipe. */
void ctl_print_name(const char *name);

/* Sets key to bytes that are usually UTF-8. Others cannot be in JSON: then each bad byte is U+FFFD in key, and KEY_hex
 * holds all the bytes in hexadecimal. 0, or -1 when out of memory. */
int ctl_json_set_bytes(json_t *object, const char *key, const char *bytes);
/* path (or NULL), type, mode, size, ... of st. */
int ctl_json_set_attributes(json_t *object, const struct stat *st);

/* An array whose items are printed one by one, so that a long one takes no memory. Frees item. Begin with *count 0. */
void ctl_json_array_item(json_t *item, size_t *count);
void ctl_json_array_end(size_t count);
/* One document, indented; frees it. CTL_OK, or CTL_FAILURE when it is NULL (out of memory). */
int ctl_json_print(const struct ctl *ctl, json_t *document);

/* Flushes stdout: a full disk is a failure of the verb. Returns code, or CTL_FAILURE after the error line. */
int ctl_close_stdout(const struct ctl *ctl, int code);

/* While a progress line is up, error lines wipe it first. NULL: none is. */
void ctl_output_progress(void (*wipe)(void));
void ctl_output_lock(void);
void ctl_output_unlock(void);

#endif
