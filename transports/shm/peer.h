/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of an endpoint's peer, as far as it is mapped here. */
#ifndef SHM_PEER_H
#define SHM_PEER_H

#include <stdbool.h>

#include "ros2/transport.h"
#include "transports/shm/layout.h"

/* A file of a peer, mapped. Counted: by its place in shm_peer, by each piece in use. owner: the domain's thread. */
struct shm_map {
    uint8_t *base;
    uint64_t len;
    uint32_t refs;
};

struct shm_peer {
    struct shm_table *table;
    uint64_t bytes; /* of all files */
    struct {
        uint64_t serial; /* 0: none */
        struct shm_map *map;
    } file[SHM_FILES];
};

/* A piece of a region of the peer, pinned until released. map NULL: its region is gone. */
struct shm_piece {
    uint8_t *addr;
    uint64_t len;
    struct shm_map *map;
    uint64_t slot;
};

void shm_peer_fini(struct shm_peer *peer);
/* Records of the peer. fd is the caller's. 0, or -EPROTO, -ENOMEM and *why_p. */
int shm_peer_file(struct shm_peer *peer, const struct shm_notice *notice, int fd,
                  const char **why_p);
void shm_peer_forget(struct shm_peer *peer, unsigned index);

/* Pins what remote names. 0; -ESTALE (the token was one, its region is gone), -EACCES (never a token, or without the right),
 * -ERANGE; -EAGAIN: ask again later, the peer is about to close, or moves the region. */
int shm_peer_resolve(struct ros2_ep *ep, uint64_t token, const struct ros2_remote *remote,
                     unsigned right, struct shm_piece *piece);
void shm_peer_release(struct ros2_ep *ep, struct shm_piece *piece);

int shm_region_map(struct ros2_ep *ep, unsigned right, const struct ros2_remote *remote,
                   void **addr_p, struct ros2_mapping *mapping);
void shm_region_unmap(struct ros2_domain *domain, struct ros2_mapping *mapping);

#endif
