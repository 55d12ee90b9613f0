/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen of RDMA devices without opening one. Built into each plugin that drives them. */
#ifndef TRANSPORTS_RDMA_DEVICE_H
#define TRANSPORTS_RDMA_DEVICE_H

#include "ros2/transport.h"

/* As transport.h says of available, but for the process. */
int rdma_device_available(const struct ros2_host *host, const char *peer);

#endif
