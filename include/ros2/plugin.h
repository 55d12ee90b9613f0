/* SPDX-License-Identifier: Apache-2.0 */
/** What a plugin (transport or engine) gets from the program that loads it.
 *
 * A plugin links nothing of libros2: error text, log, clock and randomness come through this struct, so that a
 * test can inject its own and so that two copies of the library in one process stay apart. */
#ifndef ROS2_PLUGIN_H
#define ROS2_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ros2_log_level {
    ROS2_LOG_ERROR = 0,
    ROS2_LOG_WARN = 1,
    ROS2_LOG_INFO = 2,
    ROS2_LOG_DEBUG = 3,
};

#if defined(__GNUC__)
#define ROS2_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ROS2_PRINTF(fmt, args)
#endif

struct ros2_host {
    size_t size; /* sizeof(struct ros2_host) as the host was built */
    /* Sets the calling thread's error text; returns -err. Text: thing, cause, way out; no trailing newline. */
    int (*fail)(int err, const char *fmt, ...) ROS2_PRINTF(2, 3);
    /* One log line. outlet: the plugin's name, e.g. "transport/tcp". Never called per I/O. */
    void (*log)(enum ros2_log_level level, const char *outlet, const char *fmt, ...)
        ROS2_PRINTF(3, 4);
    uint64_t (*now_ns)(void);             /* monotonic; the only clock a plugin reads */
    int (*random)(void *buf, size_t len); /* 0, or -EIO when the system has no entropy to give */
};

#ifdef __cplusplus
}
#endif
#endif
