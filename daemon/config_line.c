/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the file a key stands, found by indentation: for messages only, so block style is enough. Pure functions. */
#include "config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_file.h"
#include "lib/base/error.h"

struct line {
    const char *at; /* behind the indentation and a "- " */
    unsigned number;
    unsigned indent;
    bool entry; /* begins with "- " */
};

/* The next line that is neither empty nor a comment. */
static bool next_line(const char **text_p, struct line *line)
{
    while (**text_p) {
        const char *at = *text_p, *end = at + strcspn(at, "\n");

        *text_p = *end ? end + 1 : end;
        line->number++;
        line->at = at + strspn(at, " ");
        line->indent = (unsigned)(line->at - at);
        line->entry = line->at[0] == '-' && (line->at[1] == ' ' || line->at[1] == '\n');
        if (line->at < end && *line->at != '#' && *line->at != '\r')
            return true;
    }
    return false;
}

/* "- name: x" holds a key too, two columns further in. */
static bool has_key(const struct line *line, const char *key, size_t len)
{
    const char *at = line->at + (line->entry ? 1 + strspn(line->at + 1, " ") : 0);

    return strncmp(at, key, len) == 0 && at[len + strspn(at + len, " ")] == ':';
}

/* Looks for one part of the key below a line of indentation `below`; goes on behind it. */
static bool find_part(const char **text_p, struct line *line, int below, const char *part,
                      size_t len)
{
    bool by_index = isdigit((unsigned char)part[0]);
    unsigned left = by_index ? (unsigned)strtoul(part, NULL, 10) + 1 : 0;
    struct line at = *line;
    const char *text = *text_p;

    /* A list may stand at its key's own indentation. */
    while (next_line(&text, &at) &&
           ((int)at.indent > below || ((int)at.indent == below && at.entry))) {
        if (by_index ? at.entry && --left == 0 : has_key(&at, part, len)) {
            *line = at;
            *text_p = text;
            return true;
        }
    }
    return false;
}

/* Inside an entry: its first key shares the entry's line. */
static bool is_on_line(const struct line *line, const char *part, size_t len)
{
    return line->entry && has_key(line, part, len);
}

unsigned ros2d_config_line(const char *yaml, const char *key)
{
    struct line line = {0};
    unsigned found = 0;
    int below = -1;

    while (*key) {
        size_t len = strcspn(key, ".");

        if (!is_on_line(&line, key, len) && !find_part(&yaml, &line, below, key, len))
            break;
        found = line.number;
        below = (int)line.indent;
        key += len + (key[len] == '.');
    }
    return found;
}

int ros2d_config_fail(const struct ros2d_config_file *file, const char *key, int err,
                      const char *fmt, ...)
{
    char text[ROS2I_ERROR_MAX];
    unsigned line = file->text ? ros2d_config_line(file->text, key) : 0;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (!file->path)
        return ros2i_fail(err, "%s: %s", key, text);
    if (line == 0)
        return ros2i_fail(err, "%s: %s: %s", file->path, key, text);
    return ros2i_fail(err, "%s:%u: %s: %s", file->path, line, key, text);
}
