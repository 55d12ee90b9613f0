/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of <fcntl.h> as those of the wire. */
#ifndef ROS2I_OPEN_FLAGS_H
#define ROS2I_OPEN_FLAGS_H

/* 0, or -EINVAL: the text names the flag that cannot be kept. */
int ros2i_open_flags(int flags, unsigned *open_flags_p);

#endif
