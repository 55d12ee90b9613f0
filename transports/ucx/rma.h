/* SPDX-License-Identifier: Apache-2.0 */
/* Put and get, for the side that asks. */
#ifndef UCX_RMA_H
#define UCX_RMA_H

#include "transports/ucx/endpoint.h"

int ucx_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op);
int ucx_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op);

#endif
