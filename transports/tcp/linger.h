/* SPDX-License-Identifier: Apache-2.0 */
/* The orderly end of an endpoint. */
#ifndef TCP_LINGER_H
#define TCP_LINGER_H

#include <stdint.h>

#include "ros2/transport.h"

void tcp_ep_close(struct ros2_ep *ep);

/* -- for domain.c -- */

/* epoll events of a lingering endpoint. */
void tcp_linger_event(struct ros2_ep *ep, uint32_t events);
/* Ends those whose time is over, asks to be woken for the next. */
void tcp_linger_expire(struct ros2_domain *domain, uint64_t now_ns);
/* Ends it at once. */
void tcp_linger_end(struct ros2_ep *ep);

#endif
