/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider that drives a device asks for beyond the rest. */
#ifndef OFI_RDMA_H
#define OFI_RDMA_H

#include "transports/ofi/domain.h"

/* -ENOTSUP, with its text: devices are another process's, see rdma.c. Takes no lock. */
int ofi_rdma_check_process(const struct ros2_host *host);
/* Before libfabric starts, which opens devices whatever provider is asked for. -ENOTSUP, with its text: the domain is to use
 * them, and in this process that cannot be. */
int ofi_rdma_claim(struct ros2_domain *domain);
/* Whether a region's memory is out of reach once it is closed, and in no more reach than was asked for: 0, or -ENOTSUP and others,
 * with their text. */
int ofi_rdma_check_revokes(struct ros2_domain *domain);

#endif
