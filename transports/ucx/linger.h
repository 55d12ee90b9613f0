/* SPDX-License-Identifier: Apache-2.0 */
/* How an endpoint is closed without losing what was sent last. */
#ifndef UCX_LINGER_H
#define UCX_LINGER_H

#include "transports/ucx/endpoint.h"

void ucx_ep_close(struct ros2_ep *ep);
/* One that is given up while it connects. */
void ucx_linger_unborn(struct ros2_ep *ep);
/* Ends one that lingers. */
void ucx_linger_end(struct ros2_ep *ep);

#endif
