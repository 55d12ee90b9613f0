/* SPDX-License-Identifier: Apache-2.0 */
/* Resolving paths as text. Pure. A path of the caller never grows by it. */
#include "config.h"

#include "lib/core/path.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"

static size_t without_last(const char *text, size_t len)
{
    while (len > 0 && text[len - 1] != '/')
        len--;
    return len > 0 ? len - 1 : 0;
}

int ros2i_path_resolve(const char *path, struct ros2i_path *path_p)
{
    if (!path)
        return ros2i_fail(EINVAL, "the path is NULL");
    if (*path == '\0')
        return ros2i_fail(ENOENT, "the path is empty");
    if (*path != '/')
        return ros2i_fail(EINVAL, "the path is not absolute; paths begin with '/'");
    if (strnlen(path, ROS2I_PATH_MAX) == ROS2I_PATH_MAX)
        return ros2i_fail(ENAMETOOLONG, "the path has more than %d bytes", ROS2I_PATH_MAX - 1);

    char *text = path_p->text;
    size_t used = 0;
    path_p->directory = false;
    for (const char *at = path; *at != '\0';) {
        at += strspn(at, "/");
        size_t len = strcspn(at, "/");
        bool dot = len == 1 && at[0] == '.';
        bool dots = len == 2 && at[0] == '.' && at[1] == '.';
        path_p->directory = len == 0 || dot || dots;
        if (len > ROS2I_NAME_MAX)
            return ros2i_fail(ENAMETOOLONG, "a name in the path has %zu bytes, more than %d", len,
                              ROS2I_NAME_MAX);
        if (dots) {
            used = without_last(text, used);
        } else if (len > 0 && !dot) {
            text[used++] = '/';
            memcpy(text + used, at, len);
            used += len;
        }
        at += len;
    }
    if (used == 0)
        text[used++] = '/';
    text[used] = '\0';
    return 0;
}

void ros2i_path_parent(struct ros2i_path *path)
{
    size_t len = without_last(path->text, strlen(path->text));
    path->text[len > 0 ? len : 1] = '\0';
}
