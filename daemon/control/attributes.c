/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes into their message, field by field. */
#include "config.h"

#include "daemon/control/attributes.h"

void ros2d_attributes_fill(Ros2__V1__Attributes *message, const struct ros2_attr *attr)
{
    ros2__v1__attributes__init(message);
    message->ino = attr->ino;
    message->dev = attr->dev;
    message->size = attr->size;
    message->blocks512 = attr->blocks512;
    message->mode = attr->mode;
    message->nlink = attr->nlink;
    message->uid = attr->uid;
    message->gid = attr->gid;
    message->blksize = attr->blksize;
    message->atime_ns = attr->atime_ns;
    message->mtime_ns = attr->mtime_ns;
    message->ctime_ns = attr->ctime_ns;
    message->btime_ns = attr->btime_ns;
}
