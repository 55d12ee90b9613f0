/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines go to one sink of the process that set it; silent by default. Never called per I/O. */
#ifndef ROS2I_LOG_H
#define ROS2I_LOG_H

#include "ros2/plugin.h"

typedef void ros2i_log_fn(void *arg, enum ros2_log_level level, const char *outlet,
                          const char *line);

/* fn NULL: silent. Lines above level are dropped before they are formatted. Threads: any. The sink may be called from
 * any thread, never with a lock of ours held. */
void ros2i_log_sink(ros2i_log_fn *fn, void *arg, enum ros2_log_level level);
/* Reads a level name ("error".."debug"), as in ROS2_LOG; -EINVAL when unknown. */
int ros2i_log_level(const char *name, enum ros2_log_level *level_p);
/* A sink that writes "time level outlet: line" to stderr. */
void ros2i_log_stderr(void *arg, enum ros2_log_level level, const char *outlet, const char *line);
/* outlet: the folder, e.g. "data". line: lower case, `name value` pairs, no secrets. Control bytes are escaped. */
void ros2i_log(enum ros2_log_level level, const char *outlet, const char *fmt, ...)
    ROS2_PRINTF(3, 4);

#endif
