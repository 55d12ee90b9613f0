/* SPDX-License-Identifier: Apache-2.0 */
/* Setting networks: over which networks file data may go. "10.0.0.0/8,fd00::/8,eth0": subnets, addresses, and names of
 * interfaces, each of which stands for the subnets of its addresses. */
#ifndef ROS2I_NETWORKS_H
#define ROS2I_NETWORKS_H

#include <stdbool.h>

/* 0, or -EINVAL: the text names the item. An interface need not be there yet. */
int ros2i_networks_check(const char *networks);
/* Whether the address, "HOST:PORT" or "[V6]:PORT" with a numeric host, is in one of them. networks: checked. */
bool ros2i_networks_allow(const char *networks, const char *address);

#endif
