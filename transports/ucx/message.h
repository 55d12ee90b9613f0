/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves an endpoint, in order. */
#ifndef UCX_MESSAGE_H
#define UCX_MESSAGE_H

#include "transports/ucx/endpoint.h"

int ucx_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op);
void ucx_flush(struct ros2_ep *ep);

/* -- for the other files -- */

/* The bytes of iov; -EMSGSIZE above max, -EINVAL. */
int64_t ucx_message_length(const struct iovec *iov, int iovcnt, size_t max);
/* 0, or -EAGAIN: a message of len bytes has no room. */
int ucx_message_room(const struct ros2_ep *ep, size_t len);
/* A message behind the others: of len bytes, which are copied, or none (BYE, NOTHING). waits: it stays until so many
 * calls of ucx_message_part_done(). op (may be NULL) is a part of the caller's count. NULL: no memory. */
struct ucx_item *ucx_message_queue(struct ros2_ep *ep, enum ucx_message_type type,
                                   const struct iovec *iov, int iovcnt, size_t len,
                                   struct ros2_op *op, unsigned waits);
/* Sends what may go. */
void ucx_message_pump(struct ros2_ep *ep);
void ucx_message_part_done(struct ros2_ep *ep, struct ucx_item *item, int status);
void ucx_message_left(struct ros2_ep *ep, struct ucx_item *item, int status);
/* HELLO or WELCOME. */
void ucx_message_greet(struct ros2_ep *ep, enum ucx_message_type type);
/* HEARD. */
void ucx_message_answer(struct ros2_ep *ep);
/* Completes the ops of messages, which stay. */
void ucx_message_release_ops(struct ros2_ep *ep);
/* Forgets the messages that UCX has not got; their ops get status. */
void ucx_message_cancel(struct ros2_ep *ep, int status);
void ucx_messages_free(struct ros2_domain *domain);

#endif
