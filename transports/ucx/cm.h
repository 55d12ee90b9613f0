/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of devices: UCX makes them by socket address, with the kernel's connection manager (rdma_cm). */
#ifndef UCX_CM_H
#define UCX_CM_H

#include "transports/ucx/listener.h"

/* Begins to connect to ep->peer. 0, or -errno with a text. */
int ucx_cm_connect(struct ros2_ep *ep);

/* Listens on listener->local, and puts there what that became. 0, or -errno with a text. */
int ucx_cm_listen(struct ros2_listener *listener, const char *address);
void ucx_cm_listener_close(struct ros2_listener *listener);
/* Whether progress has somebody to accept. */
bool ucx_cm_busy(const struct ros2_listener *listener);
/* Makes endpoints for those who asked; returns how many. */
int ucx_cm_progress(struct ros2_listener *listener);

#endif
