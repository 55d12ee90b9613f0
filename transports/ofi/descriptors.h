/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors that libfabric has opened for a queue: it gives no list of them, and sets up little. */
#ifndef OFI_DESCRIPTORS_H
#define OFI_DESCRIPTORS_H

#include <rdma/fabric.h>

/* For what queue waits on now: an exec'ed program does not get it, and of its sockets a host that vanishes is noticed in 15 s and
 * no receive blocks for longer than a moment. Connections that come in through a listening socket inherit the last two. */
void ofi_descriptors_set_up(struct fid *queue);
/* In a forked child: closes them, which leaves the parent's connections alone. */
void ofi_descriptors_drop(struct fid *queue);

#endif
