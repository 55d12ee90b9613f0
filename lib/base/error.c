/* SPDX-License-Identifier: Apache-2.0 */
/* One text per thread, in static thread storage: nothing to allocate or free, also when memory has run out. The text is
 * always one line of valid UTF-8 (escape.h). errno is left as it was. */
#include "config.h"

#include "lib/base/error.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/escape.h"

static _Thread_local char error_text[ROS2I_ERROR_MAX];

/* Arguments may point into the current text, so it is formatted apart first. */
static void set_text(const char *fmt, va_list args) ROS2_PRINTF(1, 0);
static void set_text(const char *fmt, va_list args)
{
    char raw[ROS2I_ERROR_MAX];

    if (vsnprintf(raw, sizeof raw, fmt, args) < 0)
        raw[0] = '\0';
    ros2i_escape(error_text, sizeof error_text, raw);
}

int ros2i_fail(int err, const char *fmt, ...)
{
    int saved_errno = errno;
    va_list args;

    assert(err > 0);
    va_start(args, fmt);
    set_text(fmt, args);
    va_end(args);
    errno = saved_errno;
    return -err;
}

int ros2i_fail_prefix(int negative_errno, const char *fmt, ...)
{
    int saved_errno = errno;
    char prefix[ROS2I_ERROR_MAX], raw[2 * ROS2I_ERROR_MAX + 2];
    va_list args;

    assert(negative_errno < 0);
    va_start(args, fmt);
    int len = vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    snprintf(raw, sizeof raw, "%s: %s", len < 0 ? "" : prefix, error_text);
    ros2i_escape(error_text, sizeof error_text, raw);
    errno = saved_errno;
    return negative_errno;
}

const char *ros2i_error(void)
{
    return error_text;
}

const char *ros2i_strerror(int err)
{
    /* Constant strings of the C library, untranslated; NULL for numbers it does not know. */
    const char *text = strerrordesc_np(err < 0 && err != INT_MIN ? -err : err);

    return text ? text : "Unknown error";
}

int ros2i_errno_received(int64_t err)
{
    return err <= 0 || err == EINTR || err >= 512 ? EIO : (int)err;
}
