/* SPDX-License-Identifier: Apache-2.0 */
/* How a device's peer that is gone is noticed while nothing is sent. */
#ifndef UCX_HEARTBEAT_H
#define UCX_HEARTBEAT_H

#include "transports/ucx/endpoint.h"

/* There is an endpoint. */
void ucx_heartbeat_start(struct ros2_domain *domain);
/* The timer has fired: beats where it is time. */
void ucx_heartbeat(struct ros2_domain *domain, uint64_t now_ns);

#endif
