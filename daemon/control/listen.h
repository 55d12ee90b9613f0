/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane's address and certificates. */
#ifndef ROS2D_LISTEN_H
#define ROS2D_LISTEN_H

#include <grpc/grpc.h>
#include <stddef.h>

#include "daemon/config.h"

/* TLS as the config says, or plaintext on a loopback address. -EINVAL, -ENOENT, -EACCES: the text names config key, file and
 * cause. */
int ros2d_listen_credentials(const struct ros2d_config *config,
                             grpc_server_credentials **credentials_p);
/* Binds; address gets "HOST:PORT" as bound. -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL. */
int ros2d_listen_bind(const struct ros2d_config *config, grpc_server *server,
                      grpc_server_credentials *credentials, char *address, size_t address_len);

#endif
