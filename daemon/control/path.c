/* SPDX-License-Identifier: Apache-2.0 */
/* The first look at untrusted names. The engine confines paths again, by its own means; that a ".." never gets there is the
 * second lock on the same door. */
#include "config.h"

#include "daemon/control/path.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/error.h"
#include "ros2/engine.h"

#define NAME_LEN_MAX 255
#define OPEN_FLAGS                                                               \
    (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_EXCLUSIVE | \
     ROS2_OPEN_TRUNCATE | ROS2_OPEN_APPEND | ROS2_OPEN_DIRECTORY | ROS2_OPEN_NOFOLLOW)

static int check_name(const char *name, size_t len)
{
    if (len > NAME_LEN_MAX)
        return ros2i_fail(ENAMETOOLONG, "path: a name in it has %zu bytes; at most %d are allowed",
                          len, NAME_LEN_MAX);
    if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
        return ros2i_fail(EINVAL,
                          "path: \".\" and \"..\" are for the client to resolve, not for the wire");
    return 0;
}

int ros2d_path_take(const uint8_t *data, size_t len, char path[ROS2D_PATH_MAX + 1])
{
    char out[ROS2D_PATH_MAX + 1];
    size_t used = 0, at = 0;

    if (len > ROS2D_PATH_MAX)
        return ros2i_fail(ENAMETOOLONG, "path of %zu bytes; at most %d are allowed", len,
                          ROS2D_PATH_MAX);
    if (len == 0 || data[0] != '/')
        return ros2i_fail(EINVAL, "path is not absolute: it must begin with \"/\"");
    if (memchr(data, '\0', len))
        return ros2i_fail(EINVAL, "path holds a NUL byte");
    while (at < len) {
        while (at < len && data[at] == '/')
            at++;
        const char *name = (const char *)data + at;
        size_t name_len = 0;
        while (at + name_len < len && data[at + name_len] != '/')
            name_len++;
        if (name_len == 0)
            break;
        int rc = check_name(name, name_len);
        if (rc < 0)
            return rc;
        if (used > 0)
            out[used++] = '/';
        memcpy(out + used, name,
               name_len); /* fits: what is written was read before, less its first '/' */
        used += name_len;
        at += name_len;
    }
    memcpy(path, out, used);
    path[used] = '\0';
    return 0;
}

int ros2d_path_check_mode(uint32_t mode)
{
    if (mode & ~07777u)
        return ros2i_fail(EINVAL, "mode 0%o has bits outside of 07777", mode);
    return 0;
}

int ros2d_path_check_open(uint32_t open_flags, uint32_t mode)
{
    bool write = open_flags & ROS2_OPEN_WRITE;

    if (open_flags & ~(uint32_t)OPEN_FLAGS)
        return ros2i_fail(EINVAL, "open flags %#x hold bits that this version does not know",
                          open_flags);
    if (!(open_flags & (ROS2_OPEN_READ | ROS2_OPEN_WRITE)))
        return ros2i_fail(EINVAL, "open flags %#x ask for neither reading nor writing", open_flags);
    if ((open_flags & (ROS2_OPEN_APPEND | ROS2_OPEN_TRUNCATE)) && !write)
        return ros2i_fail(EINVAL, "open flags %#x append or truncate without writing", open_flags);
    if ((open_flags & ROS2_OPEN_EXCLUSIVE) && !(open_flags & ROS2_OPEN_CREATE))
        return ros2i_fail(EINVAL, "open flags %#x are exclusive without create", open_flags);
    return ros2d_path_check_mode(mode);
}
