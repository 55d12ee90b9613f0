/* SPDX-License-Identifier: Apache-2.0 */
/* Closing without losing what was said last. */
#ifndef SHM_LINGER_H
#define SHM_LINGER_H

#include "ros2/transport.h"

void shm_ep_close(struct ros2_ep *ep);
/* Goes on; ends when all is in the ring, or the peer is gone. */
void shm_linger_go_on(struct ros2_ep *ep);
void shm_linger_end(struct ros2_ep *ep);
/* Ends those whose time is over. */
void shm_linger_expire(struct ros2_domain *domain, uint64_t now_ns);

#endif
