/* SPDX-License-Identifier: Apache-2.0 */
/* The sending half of an endpoint. */
#ifndef TCP_TRANSMIT_H
#define TCP_TRANSMIT_H

#include <stddef.h>

#include "ros2/transport.h"

/* Sends queued frames, about budget bytes at most, until the socket takes no more (ep->stuck). Returns the number of
 * system calls that moved bytes. What is fully out is marked done; runs no callback. A dead connection is noted in
 * ep->error, for progress to find. */
int tcp_transmit(struct ros2_ep *ep, size_t budget);

/* Releases the regions that a half-sent answer at the queue's head holds. */
void tcp_transmit_release(struct ros2_ep *ep);

#endif
