/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes from their message: field by field, any value is allowed. */
#include "config.h"

#include "lib/control/attributes.h"

struct ros2_attr ros2i_attributes_take(const Ros2__V1__Attributes *from)
{
    if (!from)
        return (struct ros2_attr){0};
    return (struct ros2_attr){.ino = from->ino,
                              .dev = from->dev,
                              .size = from->size,
                              .blocks512 = from->blocks512,
                              .mode = from->mode,
                              .nlink = from->nlink,
                              .uid = from->uid,
                              .gid = from->gid,
                              .blksize = from->blksize,
                              .atime_ns = from->atime_ns,
                              .mtime_ns = from->mtime_ns,
                              .ctime_ns = from->ctime_ns,
                              .btime_ns = from->btime_ns};
}
