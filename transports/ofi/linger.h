/* SPDX-License-Identifier: Apache-2.0 */
/* Closing without losing what was said last. */
#ifndef OFI_LINGER_H
#define OFI_LINGER_H

#include "ros2/transport.h"

void ofi_ep_close(struct ros2_ep *ep);
/* The peer has hung up, or took too long. */
void ofi_linger_end(struct ros2_ep *ep);
/* Ends those whose time is over. */
void ofi_linger_expire(struct ros2_domain *domain, uint64_t now_ns);

#endif
