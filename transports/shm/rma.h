/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, puts and gets on their way out. */
#ifndef SHM_RMA_H
#define SHM_RMA_H

#include "ros2/transport.h"
#include "transports/shm/queue.h"

int shm_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op);
int shm_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op);
int shm_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op);
void shm_flush(struct ros2_ep *ep);

/* Does what is queued, in order, up to budget bytes of copying or until the peer has to act (ep->blocked). Returns how many
 * transfers were completed. Runs no callback. */
int shm_rma_pump(struct ros2_ep *ep, size_t budget);
/* Takes back the pins of an item. */
void shm_rma_release(struct ros2_ep *ep, struct shm_item *item);

#endif
