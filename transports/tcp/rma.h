/* SPDX-License-Identifier: Apache-2.0 */
/* One-sided transfers: our puts and gets, and the gets of the peer. */
#ifndef TCP_RMA_H
#define TCP_RMA_H

#include "ros2/transport.h"
#include "transports/tcp/frame.h"

int tcp_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op);
int tcp_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op);

/* -- for the other files -- */

/* An answer to a get begins: *into_p lists the targets of its data. -EPROTO: nobody asked. */
int tcp_rma_answered(struct ros2_ep *ep, const struct tcp_header *header,
                     const struct iovec **into_p);
/* All data of the answer has landed. Runs the op's callback. */
void tcp_rma_complete(struct ros2_ep *ep, const struct tcp_header *header);
/* The peer refused a get. Runs the op's callback. -EPROTO: nobody asked. */
int tcp_rma_refused(struct ros2_ep *ep, const struct tcp_header *header);
/* The peer asks: queues the answer. -EPROTO, -ENOMEM. */
int tcp_rma_serve(struct ros2_ep *ep, const struct tcp_header *header,
                  const struct tcp_segment *segment);
/* Ends all own gets with status, without running callbacks. */
void tcp_rma_cancel(struct ros2_ep *ep, int status);
void tcp_rma_fini(struct ros2_ep *ep);

#endif
