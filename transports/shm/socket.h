/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over an endpoint's socket: greetings, files, its end; wake-up bytes where doorbells cannot be rung. */
#ifndef SHM_SOCKET_H
#define SHM_SOCKET_H

#include "ros2/transport.h"

/* Goes on with connecting and greeting as far as that does not wait for the peer; tries again later by itself. Runs no
 * callback: a failure is told by progress. */
void shm_socket_advance(struct ros2_ep *ep);
/* Reads what the peer has said, a bounded part of it. An endpoint that ends thereby is marked, not ended: runs no callback. */
void shm_socket_look(struct ros2_ep *ep);
/* The same for an epoll event; runs connected() where that was awaited. */
void shm_socket_event(struct ros2_ep *ep);
/* Tells the peer of the files that it does not know yet. -EAGAIN: not all, the socket is full. */
int shm_socket_sync_files(struct ros2_ep *ep);
/* Closes descriptors that came and belong to no record. */
void shm_socket_drop_fds(struct ros2_ep *ep);
/* Ends the connection, and takes out what is still in the socket: with the socket would be closed what was passed, and that may
 * wait. */
void shm_socket_drain(struct ros2_ep *ep);

#endif
