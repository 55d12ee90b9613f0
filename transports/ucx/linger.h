/* SPDX-License-Identifier: Apache-2.0 */
/* How an endpoint is closed without losing what was sent last. */
#ifndef UCX_LINGER_H
#define UCX_LINGER_H

#include "transports/ucx/endpoint.h"

void ucx_ep_close(struct ros2_ep *ep);
/* ep's user is gone, and UCX's endpoint may not be closed yet: keeps it until it may. */
void ucx_linger_stay(struct ros2_ep *ep);
/* ... and now it is connected: says goodbye. */
void ucx_linger_part(struct ros2_ep *ep);
/* It has lingered for its time. */
void ucx_linger_expired(struct ros2_ep *ep);
/* Ends one that lingers. */
void ucx_linger_end(struct ros2_ep *ep);
/* Before a domain closes: waits, for a second at most, until every connection is one or has failed. */
void ucx_linger_settle_all(struct ros2_domain *domain);

#endif
