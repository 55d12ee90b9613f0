/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of a domain, the tokens that name them, and keys of the peer's regions. */
#ifndef TCP_REGION_H
#define TCP_REGION_H

#include <stdbool.h>

#include "ros2/transport.h"
#include "transports/tcp/frame.h"

/* owner: the domain's thread. A region is its slot in the table; slots never move and are used again. */
struct ros2_region {
    struct ros2_domain *domain;
    uint8_t *addr;
    size_t len;
    uint64_t generation; /* live: in the token; free: of the next token */
    uint64_t first; /* the first generation that this slot issued: older ones were never tokens */
    uint32_t slot;
    uint32_t next_free;
    uint32_t busy; /* half-sent answers that read from it */
    uint8_t rights;
    bool live;
};

struct tcp_regions {
    struct ros2_region **chunk;
    uint32_t slot_count;
    uint32_t free_head;
};

struct ros2_rkey {
    uint64_t token;
    uint64_t len;
    uint32_t rights;
};

void tcp_regions_init(struct tcp_regions *regions);
void tcp_regions_fini(struct tcp_regions *regions);

/* Where segment lies in own memory, when its region is live, grants right and holds the range: 0 and *addr_p.
 * -ESTALE: the token was one, its region is gone. -EACCES: never a token, or without the right. -ERANGE. */
int tcp_region_resolve(const struct tcp_regions *regions, const struct tcp_segment *segment,
                       unsigned right, uint8_t **addr_p);
/* Counts a half-sent answer from this segment's region in (+1) or out (-1). The segment must resolve. */
void tcp_region_hold(const struct tcp_regions *regions, const struct tcp_segment *segment,
                     int change);

int tcp_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p);
int tcp_region_deregister(struct ros2_region *region);
int tcp_region_pack(struct ros2_region *region, void *buf, size_t len);
uint64_t tcp_region_token(struct ros2_region *region);
int tcp_rkey_import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p);
void tcp_rkey_release(struct ros2_rkey *rkey);

#endif
