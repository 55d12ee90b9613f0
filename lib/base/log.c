/* SPDX-License-Identifier: Apache-2.0 */
/* The sink is an immutable record behind one atomic pointer: setting it and logging need no lock, so a fork in between
 * leaves the child nothing to wait for. Records are kept (a thread may be using one) and used again when the same sink
 * is set again; a process sets a handful. */
#include "config.h"

#include "lib/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/escape.h"

#define LINE_MAX_LEN 1024

struct sink {
    ros2i_log_fn *fn;
    void *arg;
    enum ros2_log_level level;
    struct sink *next;
};

static _Atomic(struct sink *) current; /* acquire pairs with the release in ros2i_log_sink */
static _Atomic(struct sink *) records; /* all that were ever made */

static const char *const level_name[] = {"error", "warn", "info", "debug"};

static struct sink *find_record(ros2i_log_fn *fn, void *arg, enum ros2_log_level level)
{
    struct sink *sink = atomic_load_explicit(&records, memory_order_acquire);

    while (sink && (sink->fn != fn || sink->arg != arg || sink->level != level))
        sink = sink->next;
    return sink;
}

static struct sink *make_record(ros2i_log_fn *fn, void *arg, enum ros2_log_level level)
{
    struct sink *sink = malloc(sizeof *sink);

    if (!sink)
        return NULL;
    sink->fn = fn;
    sink->arg = arg;
    sink->level = level;
    sink->next = atomic_load_explicit(&records, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&records, &sink->next, sink, memory_order_release,
                                                  memory_order_relaxed))
        ;
    return sink;
}

void ros2i_log_sink(ros2i_log_fn *fn, void *arg, enum ros2_log_level level)
{
    struct sink *sink = NULL;

    if (fn) {
        sink = find_record(fn, arg, level);
        if (!sink)
            sink = make_record(fn, arg,
                               level); /* out of memory: silent, logging is no reason to fail */
    }
    atomic_store_explicit(&current, sink, memory_order_release);
}

int ros2i_log_level(const char *name, enum ros2_log_level *level_p)
{
    for (size_t i = 0; i < sizeof level_name / sizeof *level_name; i++) {
        if (strcmp(name, level_name[i]) == 0) {
            *level_p = (enum ros2_log_level)i;
            return 0;
        }
    }
    return ros2i_fail(EINVAL, "log level \"%s\" is unknown; use error, warn, info or debug", name);
}

void ros2i_log_stderr(void *arg, enum ros2_log_level level, const char *outlet, const char *line)
{
    int64_t now_ns = ros2i_wall_clock_ns();
    time_t seconds = (time_t)(now_ns / (int64_t)ROS2I_NS_PER_S);
    struct tm tm;
    char when[32], out[LINE_MAX_LEN + 128];

    (void)arg;
    if (!gmtime_r(&seconds, &tm) || strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        strcpy(when, "?");
    int len = snprintf(out, sizeof out, "%s.%03dZ %s %s: %s\n", when,
                       (int)(now_ns % (int64_t)ROS2I_NS_PER_S / (int64_t)ROS2I_NS_PER_MS),
                       level_name[level & 3], outlet, line);
    if (len < 0)
        return;
    if ((size_t)len >= sizeof out) {
        len = sizeof out - 1;
        out[len - 1] = '\n';
    }
    /* One write, so that lines of several threads do not mix; a log that cannot be written is lost. */
    while (write(STDERR_FILENO, out, (size_t)len) < 0 && errno == EINTR)
        ;
}

void ros2i_log(enum ros2_log_level level, const char *outlet, const char *fmt, ...)
{
    struct sink *sink = atomic_load_explicit(&current, memory_order_acquire);

    if (!sink || level > sink->level)
        return;

    int saved_errno = errno;
    char raw[LINE_MAX_LEN], line[LINE_MAX_LEN];
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    if (len >= 0) {
        int cancel_state;

        ros2i_escape(line, sizeof line, raw);
        /* write(), or what the program's function calls, is a cancellation point; the caller may be in the middle of things. */
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        sink->fn(sink->arg, level, outlet, line);
        pthread_setcancelstate(cancel_state, NULL);
    }
    errno = saved_errno;
}
