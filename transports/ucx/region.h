/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that the peers of a domain may reach, and keys to it. */
#ifndef UCX_REGION_H
#define UCX_REGION_H

#include "transports/ucx/endpoint.h"

struct ros2_region {
    struct ros2_domain *domain;
    TAILQ_ENTRY(ros2_region) link;
    uint8_t *addr;
    size_t len;
    unsigned rights;
    uint64_t number;  /* its key, where active messages carry the data; 0: nobody may reach it */
    ucp_mem_h memory; /* its registration, where a device does */
};

struct ros2_rkey {
    uint64_t number, base, len;
    uint32_t rights;
    ucp_rkey_h ucp; /* NULL: active messages carry the data */
    unsigned users; /* transfers that UCX has it for */
    bool released;
};

int ucx_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p);
int ucx_region_deregister(struct ros2_region *region);
int ucx_region_pack(struct ros2_region *region, void *buf, size_t len);
int ucx_rkey_import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p);
void ucx_rkey_release(struct ros2_rkey *rkey);

/* -- for the other files -- */

/* The region of that number, with that right, if [offset, offset + len) is within it; else NULL. */
struct ros2_region *ucx_region_find(const struct ros2_domain *domain, uint64_t number,
                                    unsigned right, uint64_t offset, uint64_t len);
/* A transfer by it has ended. */
void ucx_rkey_left(struct ros2_rkey *rkey);
/* The registration that covers local memory, or NULL. */
ucp_mem_h ucx_region_memory(const struct ros2_domain *domain, const void *addr, size_t len);

#endif
