/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen of RDMA devices without opening one. */
#ifndef OFI_DEVICE_H
#define OFI_DEVICE_H

#include "ros2/transport.h"

/* As transport.h says of available. */
int ofi_device_available(const struct ros2_host *host, const char *peer);

#endif
