/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors that libfabric has opened for a queue: it gives no list of them, and opens them without O_CLOEXEC. */
#ifndef OFI_DESCRIPTORS_H
#define OFI_DESCRIPTORS_H

#include <rdma/fabric.h>

/* An exec'ed program does not get what queue waits on, its sockets among it. */
void ofi_descriptors_keep_from_exec(struct fid *queue);
/* In a forked child: closes them, which leaves the parent's connections alone. */
void ofi_descriptors_drop(struct fid *queue);

#endif
