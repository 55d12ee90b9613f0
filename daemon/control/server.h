/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane's gRPC server as main sees it. */
#ifndef ROS2D_SERVER_H
#define ROS2D_SERVER_H

#include "daemon/state.h"

struct ros2d_server;

/* Listens and starts the control threads. -EADDRINUSE, -EINVAL (certificates: names file and cause), ... */
int ros2d_server_start(struct ros2d_state *state, struct ros2d_server **server_p);
/* "HOST:PORT" as bound. */
const char *ros2d_server_address(const struct ros2d_server *server);
/* Health turns to NOT_SERVING, new calls are refused, running ones end by deadline_ns or are cancelled; joins. */
void ros2d_server_stop(struct ros2d_server *server, uint64_t deadline_ns);

#endif
