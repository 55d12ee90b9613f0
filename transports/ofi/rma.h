/* SPDX-License-Identifier: Apache-2.0 */
/* Puts and gets. */
#ifndef OFI_RMA_H
#define OFI_RMA_H

#include "ros2/transport.h"

int ofi_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op);
int ofi_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op);

#endif
