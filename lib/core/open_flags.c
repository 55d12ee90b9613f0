/* SPDX-License-Identifier: Apache-2.0 */
/* Open flags. Pure. A flag whose promise this library would not keep is refused instead of ignored. */
#include "config.h"

#include "lib/core/open_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "ros2/engine.h"

static const struct {
    int flag;
    unsigned wire;
} known[] = {
    {O_CREAT, ROS2_OPEN_CREATE},        {O_EXCL, ROS2_OPEN_EXCLUSIVE},
    {O_TRUNC, ROS2_OPEN_TRUNCATE},      {O_APPEND, ROS2_OPEN_APPEND},
    {O_DIRECTORY, ROS2_OPEN_DIRECTORY}, {O_NOFOLLOW, ROS2_OPEN_NOFOLLOW},
};

/* About the descriptor, of which there is none here. O_LARGEFILE: its value where glibc defines it as 0. */
#define WITHOUT_EFFECT (O_CLOEXEC | O_NOCTTY | 0100000)

int ros2i_open_flags(int flags, unsigned *open_flags_p)
{
    unsigned wire;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        wire = ROS2_OPEN_READ;
        break;
    case O_WRONLY:
        wire = ROS2_OPEN_WRITE;
        break;
    case O_RDWR:
        wire = ROS2_OPEN_READ | ROS2_OPEN_WRITE;
        break;
    default:
        return ros2i_fail(
            EINVAL, "flags 0%o: the access mode is none of O_RDONLY, O_WRONLY, O_RDWR", flags);
    }
    int left = flags & ~(O_ACCMODE | WITHOUT_EFFECT);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!(left & known[i].flag))
            continue;
        wire |= known[i].wire;
        left &= ~known[i].flag;
    }
    if (left != 0)
        return ros2i_fail(
            EINVAL,
            "flags 0%o are not supported (known: O_CREAT O_EXCL O_TRUNC O_APPEND O_DIRECTORY "
            "O_NOFOLLOW O_CLOEXEC)",
            left);
    if ((flags & O_EXCL) && !(flags & O_CREAT))
        return ros2i_fail(EINVAL, "O_EXCL without O_CREAT has no meaning");
    if ((flags & O_TRUNC) && !(wire & ROS2_OPEN_WRITE))
        return ros2i_fail(EINVAL, "O_TRUNC needs O_WRONLY or O_RDWR");
    if ((flags & O_DIRECTORY) && (flags & O_CREAT))
        return ros2i_fail(EINVAL, "O_DIRECTORY with O_CREAT: directories are made by ros2_mkdir()");
    *open_flags_p = wire;
    return 0;
}
