/* SPDX-License-Identifier: Apache-2.0 */
/* Notices a peer that has vanished while nobody talks to it. */
#ifndef OFI_HEARTBEAT_H
#define OFI_HEARTBEAT_H

#include "transports/ofi/domain.h"

/* A connection has been made: the domain's timer is set, where the provider needs that. */
void ofi_heartbeat_start(struct ros2_domain *domain);
/* The timer has fired. Ends connections whose peer's device has not answered for some beats. */
void ofi_heartbeat(struct ros2_domain *domain, uint64_t now_ns);

#endif
