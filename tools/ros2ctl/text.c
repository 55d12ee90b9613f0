/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: names made visible, sizes, times. Nothing here keeps state. */
#include "config.h"

#include "tools/ros2ctl/text.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

size_t ctl_utf8_length(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t need;
    uint32_t code, least;

    if (p[0] < 0x80)
        return 1;
    if ((p[0] & 0xe0) == 0xc0) {
        need = 2, code = p[0] & 0x1f, least = 0x80;
    } else if ((p[0] & 0xf0) == 0xe0) {
        need = 3, code = p[0] & 0x0f, least = 0x800;
    } else if ((p[0] & 0xf8) == 0xf0) {
        need = 4, code = p[0] & 0x07, least = 0x10000;
    } else {
        return 0;
    }
    if (len < need)
        return 0;
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    /* Neither overlong, nor a surrogate, nor past the end of Unicode. */
    if (code < least || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
        return 0;
    return need;
}

bool ctl_utf8_valid(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t step = ctl_utf8_length(text + at, len - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

/* C0, DEL and C1: the last ones are two bytes in UTF-8, and terminals obey them too. */
static bool is_control(const char *text, size_t step)
{
    const unsigned char *p = (const unsigned char *)text;

    if (step == 1)
        return p[0] < 0x20 || p[0] == 0x7f;
    return step == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

static void print_byte(FILE *stream, char byte)
{
    switch (byte) {
    case '\n':
        fputs("\\n", stream);
        return;
    case '\t':
        fputs("\\t", stream);
        return;
    case '\r':
        fputs("\\r", stream);
        return;
    case '\\':
        fputs("\\\\", stream);
        return;
    default:
        fprintf(stream, "\\%03o", (unsigned char)byte);
    }
}

void ctl_print_escaped(FILE *stream, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t step = ctl_utf8_length(text + at, len - at);
        bool plain = step != 0 && text[at] != '\\' && !is_control(text + at, step);
        if (step == 0)
            step = 1;
        if (plain) {
            fwrite(text + at, 1, step, stream);
        } else {
            for (size_t i = 0; i < step; i++)
                print_byte(stream, text[at + i]);
        }
        at += step;
    }
}

const char *ctl_format_size(char buf[CTL_TEXT_MAX], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buf, CTL_TEXT_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return buf;
}

const char *ctl_format_duration(char buf[CTL_TEXT_MAX], double seconds)
{
    if (!(seconds < 360000))
        return "-:--";
    unsigned whole = (unsigned)seconds;
    if (whole >= 3600)
        snprintf(buf, CTL_TEXT_MAX, "%u:%02u:%02u", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(buf, CTL_TEXT_MAX, "%u:%02u", whole / 60, whole % 60);
    return buf;
}

const char *ctl_format_mode(char buf[CTL_TEXT_MAX], mode_t mode)
{
    static const char letters[] = "rwxrwxrwx";
    char type = '?';

    if (S_ISREG(mode))
        type = '-';
    else if (S_ISDIR(mode))
        type = 'd';
    else if (S_ISLNK(mode))
        type = 'l';
    buf[0] = type;
    for (int i = 0; i < 9; i++)
        buf[1 + i] = mode & (0400u >> i) ? letters[i] : '-';
    if (mode & S_ISUID)
        buf[3] = mode & S_IXUSR ? 's' : 'S';
    if (mode & S_ISGID)
        buf[6] = mode & S_IXGRP ? 's' : 'S';
    if (mode & S_ISVTX)
        buf[9] = mode & S_IXOTH ? 't' : 'T';
    buf[10] = '\0';
    return buf;
}

const char *ctl_type_name(mode_t mode)
{
    if (S_ISREG(mode))
        return "file";
    if (S_ISDIR(mode))
        return "directory";
    if (S_ISLNK(mode))
        return "symlink";
    return "other";
}

const char *ctl_format_time(char buf[CTL_TEXT_MAX], int64_t seconds)
{
    struct tm tm;
    time_t when = (time_t)seconds;

    if (!gmtime_r(&when, &tm) || strftime(buf, CTL_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return "?";
    return buf;
}
