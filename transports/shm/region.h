/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of a domain and the files behind them, as its peers may reach them; keys of the peer's regions. */
#ifndef SHM_REGION_H
#define SHM_REGION_H

#include <stdbool.h>

#include "ros2/transport.h"
#include "transports/shm/layout.h"
#include "transports/shm/ring.h"

#define SHM_CHUNK_SLOTS 256u

/* owner: the domain's thread. What counts is here; the shared table is a copy for the peers. Slots never move and are used
 * again once no peer has the old region pinned. */
struct ros2_region {
    struct ros2_domain *domain;
    uint8_t *addr;
    size_t len;
    uint64_t generation; /* live: in the token; else: of the next token */
    uint32_t slot;
    uint32_t next_free;
    uint32_t file;   /* used: its place in the domain's files, */
    uint64_t serial; /* and which one was there */
    uint8_t rights;
    bool live; /* open to the peers */
    bool used; /* registered; without live: its deregistering waits for a peer */
};

struct shm_regions {
    struct shm_table *table;
    int table_fd;
    uint32_t slot_count, free_head;
    struct ros2_region *chunk[SHM_SLOTS / SHM_CHUNK_SLOTS];
    uint64_t files_revision;
    /* Own descriptors: memory's are only borrowed, and peers come later. serial 0: free. Of more files than fit, the one that
     * was unused for longest goes. */
    struct shm_own_file {
        uint64_t serial, len;
        uint64_t last_use; /* of the count of uses */
        uint32_t users;    /* regions in it */
        int fd;
    } file[SHM_FILES];
    uint64_t uses;
    /* Of ended endpoints whose peer had regions pinned that could not be replaced. */
    struct shm_ring **stuck;
    uint32_t stuck_count;
};

struct ros2_rkey {
    uint64_t token;
    uint64_t len;
    uint32_t rights;
};

/* 0 or a negative errno. */
int shm_regions_init(struct shm_regions *regions);
void shm_regions_fini(struct shm_regions *regions);
/* ep has ended: from now on its peer reaches no region. The gate is shut already. */
void shm_regions_revoke(struct ros2_domain *domain, struct ros2_ep *ep);

int shm_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p);
int shm_region_deregister(struct ros2_region *region);
int shm_region_pack(struct ros2_region *region, void *buf, size_t len);
uint64_t shm_region_token(struct ros2_region *region);
int shm_rkey_import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p);
void shm_rkey_release(struct ros2_rkey *rkey);

#endif
