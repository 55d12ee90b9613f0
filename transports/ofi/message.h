/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as fragments under credits: libfabric has no flow control that all providers share. */
#ifndef OFI_MESSAGE_H
#define OFI_MESSAGE_H

#include "transports/ofi/endpoint.h"

int ofi_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op);
void ofi_flush(struct ros2_ep *ep);

/* -- for the other files -- */

/* Whether a message of len bytes can be taken now: 0, -EAGAIN. */
int ofi_message_room(const struct ros2_ep *ep, size_t len);
/* Sends a message or lets it wait: a part of op (or NULL) that completes when its last fragment has left. There is room for
 * it. 0, or -EAGAIN: no memory. */
int ofi_message_push(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, size_t len,
                     struct ros2_op *op);
/* Sends what waits, as far as credits reach, and gives credits back. */
void ofi_message_pump(struct ros2_ep *ep);
/* Completes the ops of all messages that have not left: they are copies. */
void ofi_message_release_ops(struct ros2_ep *ep);
/* Posts a receive: 0, or what libfabric says. */
int ofi_message_receive(struct ros2_ep *ep, struct ofi_work *work);
/* A fragment of len bytes has come into work. Runs callbacks. */
void ofi_message_arrived(struct ros2_ep *ep, struct ofi_work *work, size_t len);
/* The length of iov, or -EINVAL, -EMSGSIZE (more than max). */
int64_t ofi_message_length(const struct iovec *iov, int iovcnt, size_t max);

#endif
