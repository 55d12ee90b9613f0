/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives: active messages. */
#ifndef UCX_RECEIVE_H
#define UCX_RECEIVE_H

#include "transports/ucx/endpoint.h"

/* Sets what a worker does with them. 0, or -errno with a text. */
int ucx_receive_start(struct ros2_domain *domain);
/* Gives the user what came; returns how many. */
int ucx_receive_deliver(struct ros2_ep *ep);
/* Forgets it; whether the peer has said goodbye in it. */
bool ucx_receive_drop(struct ros2_ep *ep);
void ucx_arrivals_free(struct ros2_domain *domain);

#endif
