/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that peers reach, and keys of theirs. */
#ifndef OFI_REGION_H
#define OFI_REGION_H

#include <stdbool.h>

#include "ros2/transport.h"

/* A peer's region. */
struct ros2_rkey {
    uint64_t key;
    uint64_t base; /* of the region, as the provider counts addresses */
    uint64_t len;
    uint32_t rights;
};

int ofi_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p);
int ofi_region_deregister(struct ros2_region *region);
/* Whether piece is in one of the domain's regions, and what libfabric wants to have with it. written: it is the target of a
 * get. */
bool ofi_region_covers(const struct ros2_domain *domain, const struct iovec *piece, bool written,
                       void **desc_p);
int ofi_region_pack(struct ros2_region *region, void *buf, size_t len);
int ofi_rkey_import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p);
void ofi_rkey_release(struct ros2_rkey *rkey);

#endif
