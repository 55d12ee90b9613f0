/* SPDX-License-Identifier: Apache-2.0 */
/* What the peer has put into its ring. */
#ifndef SHM_RECEIVE_H
#define SHM_RECEIVE_H

#include "ros2/transport.h"

/* Delivers what has come, a bounded part of it; tells the user when the peer has ended. Returns the number of events. */
int shm_receive(struct ros2_ep *ep);

#endif
