/* SPDX-License-Identifier: Apache-2.0 */
/* The out-of-band socket of a connection over tcp: the ends exchange what UCX connects by, and keep it to see the other's end. */
#ifndef UCX_OOB_H
#define UCX_OOB_H

#include "transports/ucx/listener.h"

/* What every connection of the domain needs. 0, or -errno with a text; what was made is for ucx_oob_close(). */
int ucx_oob_open(struct ros2_domain *domain);
void ucx_oob_close(struct ros2_domain *domain);
/* Looks at the sockets: always after a sleep, else now and then. Returns how many events there were. */
int ucx_oob_progress(struct ros2_domain *domain);
/* The owner is about to sleep. */
void ucx_oob_arm(struct ros2_domain *domain);

/* Begins to connect to ep->peer. A failure is told like a later one. */
void ucx_oob_connect(struct ros2_ep *ep);
/* The peer may have our address, and connect: its endpoint needs a counterpart. */
bool ucx_oob_committed(const struct ros2_ep *ep);
/* Closes ep's socket, if it has one. */
void ucx_oob_end(struct ros2_ep *ep);

/* Listens on listener->local, and puts there what that became. 0, or -errno with a text. */
int ucx_oob_listen(struct ros2_listener *listener, const char *address);
void ucx_oob_listener_close(struct ros2_listener *listener);

#endif
