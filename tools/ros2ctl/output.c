/* SPDX-License-Identifier: Apache-2.0 */
/* What ros2ctl prints. One lock orders the lines of all threads on stderr; stdout is the main thread's. */
#include "config.h"

#include "tools/ros2ctl/output.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ros2ctl/text.h"

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*wipe_progress)(void); /* guarded by output_lock */

void ctl_output_lock(void)
{
    pthread_mutex_lock(&output_lock);
}

void ctl_output_unlock(void)
{
    pthread_mutex_unlock(&output_lock);
}

void ctl_output_progress(void (*wipe)(void))
{
    ctl_output_lock();
    wipe_progress = wipe;
    ctl_output_unlock();
}

int ctl_error(const struct ctl *ctl, const char *fmt, ...)
{
    char *text;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);

    ctl_output_lock();
    if (wipe_progress)
        wipe_progress();
    fputs("ros2ctl: ", stderr);
    if (ctl->verb)
        fprintf(stderr, "%s: ", ctl->verb);
    const char *shown = text ? text : "out of memory";
    /* Our own sentences hold no backslash, so only names can change here. */
    ctl_print_escaped(stderr, shown, strlen(shown));
    fputc('\n', stderr);
    ctl_output_unlock();
    free(text);
    return CTL_FAILURE;
}

int ctl_fail_ros2(const struct ctl *ctl)
{
    ctl_output_lock();
    if (wipe_progress)
        wipe_progress();
    /* The library has made control characters visible: escaping again would double backslashes. */
    if (ctl->verb)
        fprintf(stderr, "ros2ctl: %s: %s\n", ctl->verb, ros2_error());
    else
        fprintf(stderr, "ros2ctl: %s\n", ros2_error());
    ctl_output_unlock();
    return CTL_FAILURE;
}

int ctl_fail_errno(const struct ctl *ctl, const char *what, const char *path, int err)
{
    char buf[128];

    return ctl_error(ctl, "%s %s: %s", what, path, strerror_r(err, buf, sizeof(buf)));
}

int ctl_fail_memory(const struct ctl *ctl)
{
    return ctl_error(ctl, "out of memory");
}

void ctl_print_name(const char *name)
{
    static int terminal = -1;

    if (terminal < 0)
        terminal = isatty(STDOUT_FILENO);
    if (terminal)
        ctl_print_escaped(stdout, name, strlen(name));
    else
        fputs(name, stdout);
}

static json_t *replaced(const char *bytes, size_t len)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *text = malloc(len * 3 + 1);
    size_t out = 0;

    if (!text)
        return NULL;
    for (size_t at = 0; at < len;) {
        size_t step = ctl_utf8_length(bytes + at, len - at);
        memcpy(text + out, step ? bytes + at : replacement, step ? step : 3);
        out += step ? step : 3;
        at += step ? step : 1;
    }
    json_t *value = json_stringn(text, out);
    free(text);
    return value;
}

static json_t *hexadecimal(const char *bytes, size_t len)
{
    char *text = malloc(len * 2 + 1);

    if (!text)
        return NULL;
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    json_t *value = json_stringn(text, len * 2);
    free(text);
    return value;
}

int ctl_json_set_bytes(json_t *object, const char *key, const char *bytes)
{
    size_t len = strlen(bytes);
    char hex_key[64];

    if (ctl_utf8_valid(bytes, len))
        return json_object_set_new(object, key, json_stringn(bytes, len));
    snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
    if (json_object_set_new(object, key, replaced(bytes, len)) < 0)
        return -1;
    return json_object_set_new(object, hex_key, hexadecimal(bytes, len));
}

int ctl_json_set_attributes(json_t *object, const struct stat *st)
{
    char mode[8], modified[CTL_TEXT_MAX];

    snprintf(mode, sizeof(mode), "%04o", st->st_mode & 07777);
    json_t *values = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "type", ctl_type_name(st->st_mode), "mode",
        mode, "size", (json_int_t)st->st_size, "links", (json_int_t)st->st_nlink, "uid",
        (json_int_t)st->st_uid, "gid", (json_int_t)st->st_gid, "inode", (json_int_t)st->st_ino,
        "mtime_ns", (json_int_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec, "mtime",
        ctl_format_time(modified, st->st_mtim.tv_sec));
    if (!values)
        return -1;
    int rc = json_object_update(object, values);
    json_decref(values);
    return rc;
}

void ctl_json_array_item(json_t *item, size_t *count)
{
    fputs(*count == 0 ? "[\n" : ",\n", stdout);
    json_dumpf(item, stdout, JSON_COMPACT);
    json_decref(item);
    (*count)++;
}

void ctl_json_array_end(size_t count)
{
    fputs(count == 0 ? "[]\n" : "\n]\n", stdout);
}

int ctl_json_print(const struct ctl *ctl, json_t *document)
{
    if (!document)
        return ctl_fail_memory(ctl);
    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fputc('\n', stdout);
    json_decref(document);
    return CTL_OK;
}

int ctl_close_stdout(const struct ctl *ctl, int code)
{
    bool failed = ferror(stdout) != 0;

    errno = 0;
    if (fflush(stdout) == 0 && !failed)
        return code;
    return ctl_fail_errno(ctl, "write", "standard output", errno ? errno : EIO);
}
