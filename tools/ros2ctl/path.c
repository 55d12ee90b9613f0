/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text: nothing here looks at a file. */
#include "config.h"

#include "tools/ros2ctl/path.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Length without trailing slashes; a lone "/" keeps its one. */
static size_t trimmed(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

/* Where the last component of the first len bytes begins. */
static size_t last_component(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] != '/')
        len--;
    return len;
}

char *ctl_path_join(const char *directory, const char *name)
{
    size_t len = trimmed(directory);
    char *path;

    if (name[0] == '\0')
        return strndup(directory, len);
    const char *slash = len > 0 && directory[len - 1] == '/' ? "" : "/";
    if (asprintf(&path, "%.*s%s%s", (int)len, directory, slash, name) < 0)
        return NULL;
    return path;
}

char *ctl_path_basename(const char *path)
{
    size_t len = trimmed(path);
    size_t start = last_component(path, len);
    char *name = strndup(path + start, len - start);

    if (name && !ctl_path_is_name(name))
        name[0] = '\0';
    return name;
}

char *ctl_path_dirname(const char *path)
{
    size_t start = last_component(path, trimmed(path));

    if (start == 0)
        return strdup(".");
    while (start > 1 && path[start - 1] == '/')
        start--;
    return strndup(path, start);
}

bool ctl_path_is_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           !strchr(name, '/');
}

bool ctl_path_ends_in_slash(const char *path)
{
    size_t len = strlen(path);

    return len > 0 && path[len - 1] == '/';
}

char *ctl_path_temporary(const char *path)
{
    char name[sizeof(CTL_TMP_PREFIX) + 16];
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return NULL;
    snprintf(name, sizeof(name), CTL_TMP_PREFIX "%016" PRIx64, random);
    char *directory = ctl_path_dirname(path);
    if (!directory)
        return NULL;
    char *temporary = ctl_path_join(directory, name);
    free(directory);
    return temporary;
}
