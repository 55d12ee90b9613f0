/* SPDX-License-Identifier: Apache-2.0 */
/* Access to a peer's regions. Owner: the domain's thread.
 *
 * Pins: whoever accesses a region raises its own pin first and then looks at the gate and the entry; the region's owner
 * closes the entry (or the gate) first and then looks at the pins. Both are sequentially consistent, so either the entry is
 * seen closed here, or the pin there, and then the owner waits, or gives the region other pages.
 *
 * The peer is hostile: an entry is copied once, the copy is checked against the file that is mapped, and what it says can at
 * worst lead to another place in the peer's own files. Always: addr of a piece with a map lies inside that map. */
#include "config.h"

#include "transports/shm/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "transports/shm/endpoint.h"
#include "transports/shm/file.h"
#include "transports/shm/socket.h"

/* -- files -- */

static void map_unref(struct shm_map *map)
{
    if (--map->refs > 0)
        return;
    munmap(map->base, map->len);
    free(map);
}

void shm_peer_forget(struct shm_peer *peer, unsigned index)
{
    struct shm_map *map = peer->file[index].map;

    if (!map)
        return;
    peer->bytes -= map->len;
    peer->file[index].serial = 0;
    peer->file[index].map = NULL;
    map_unref(map);
}

int shm_peer_file(struct shm_peer *peer, const struct shm_notice *notice, int fd,
                  const char **why_p)
{
    void *base;

    shm_peer_forget(peer, notice->index);
    if (notice->len > SHM_FILE_BYTES_MAX - peer->bytes) {
        *why_p = "it shares more than 64 GiB";
        return -EPROTO;
    }
    int rc = shm_file_map(fd, notice->len, &base, why_p);
    if (rc < 0)
        return rc;
    struct shm_map *map = malloc(sizeof *map);
    if (!map) {
        munmap(base, notice->len);
        *why_p = "out of memory";
        return -ENOMEM;
    }
    *map = (struct shm_map){.base = base, .len = notice->len, .refs = 1};
    peer->file[notice->index].serial = notice->serial;
    peer->file[notice->index].map = map;
    peer->bytes += notice->len;
    return 0;
}

void shm_peer_fini(struct shm_peer *peer)
{
    for (unsigned i = 0; i < SHM_FILES; i++)
        shm_peer_forget(peer, i);
    if (peer->table)
        munmap(peer->table, SHM_TABLE_LEN);
    peer->table = NULL;
}

/* -- regions -- */

/* A private copy of an entry. */
struct entry {
    uint64_t serial, offset, len;
    uint32_t file, rights;
};

static int read_entry(const struct shm_entry *shared, uint64_t generation, struct entry *entry)
{
    uint64_t state = atomic_load(&shared->state);
    uint64_t current = state >> SHM_ENTRY_BITS;

    if (generation == 0 || generation > current)
        return -EACCES;
    if (generation < current)
        return -ESTALE;
    if ((state & ((1 << SHM_ENTRY_BITS) - 1)) == SHM_ENTRY_MOVING)
        return -EAGAIN;
    if ((state & ((1 << SHM_ENTRY_BITS) - 1)) != SHM_ENTRY_LIVE)
        return -EACCES;
    entry->serial = atomic_load_explicit(&shared->serial, memory_order_relaxed);
    entry->offset = atomic_load_explicit(&shared->offset, memory_order_relaxed);
    entry->len = atomic_load_explicit(&shared->len, memory_order_relaxed);
    entry->file = atomic_load_explicit(&shared->file, memory_order_relaxed);
    entry->rights = atomic_load_explicit(&shared->rights, memory_order_relaxed);
    return 0;
}

static struct shm_map *find_map(struct ros2_ep *ep, const struct entry *entry)
{
    struct shm_peer *peer = &ep->shared;

    if (entry->file >= SHM_FILES || entry->serial == 0)
        return NULL;
    if (peer->file[entry->file].serial != entry->serial)
        shm_socket_look(ep); /* it was sent before the region was published */
    return peer->file[entry->file].serial == entry->serial ? peer->file[entry->file].map : NULL;
}

static int resolve_pinned(struct ros2_ep *ep, uint64_t slot, uint64_t generation,
                          const struct ros2_remote *remote, unsigned right, struct shm_piece *piece)
{
    struct entry entry;

    if (shm_ring_gate(ep->ring) != SHM_GATE_OPEN)
        return -EAGAIN;
    int rc = read_entry(&ep->shared.table->entry[slot], generation, &entry);
    if (rc < 0)
        return rc;
    if (!(entry.rights & right))
        return -EACCES;
    if (remote->offset > entry.len || remote->len > entry.len - remote->offset)
        return -ERANGE;
    struct shm_map *map = find_map(ep, &entry);
    if (!map || entry.offset > map->len || entry.len > map->len - entry.offset)
        return -EACCES;
    map->refs++;
    *piece = (struct shm_piece){.addr = map->base + entry.offset + remote->offset,
                                .len = remote->len,
                                .map = map,
                                .slot = slot};
    return 0;
}

int shm_peer_resolve(struct ros2_ep *ep, uint64_t token, const struct ros2_remote *remote,
                     unsigned right, struct shm_piece *piece)
{
    uint64_t slot = token & ((1u << SHM_SLOT_BITS) - 1);

    if (slot >= SHM_SLOTS)
        return -EACCES;
    atomic_fetch_add(&ep->ring->my_pins[slot], 1);
    int rc = resolve_pinned(ep, slot, token >> SHM_SLOT_BITS, remote, right, piece);
    if (rc < 0)
        atomic_fetch_sub(&ep->ring->my_pins[slot], 1);
    return rc;
}

void shm_peer_release(struct ros2_ep *ep, struct shm_piece *piece)
{
    if (!piece->map)
        return;
    /* Release: what was written there is in place when the owner sees the pin gone. */
    if (!shm_domain_forked(ep->domain))
        atomic_fetch_sub(&ep->ring->my_pins[piece->slot], 1);
    map_unref(piece->map);
    piece->map = NULL;
}

/* -- mappings -- */

int shm_region_map(struct ros2_ep *ep, unsigned right, const struct ros2_remote *remote,
                   void **addr_p, struct ros2_mapping *mapping)
{
    const struct ros2_host *host = ep->domain->host;
    struct shm_piece piece;

    shm_domain_own(ep->domain);
    if (ep->state != SHM_EP_OPEN || !ep->usable)
        return host->fail(EACCES, "map a peer's region: there is no connection");
    if (right == 0 || (remote->rkey && !(remote->rkey->rights & right)))
        return host->fail(EACCES, "map a peer's region: it is not open for this");
    int rc = shm_peer_resolve(ep, remote->rkey ? remote->rkey->token : remote->token, remote, right,
                              &piece);
    if (rc == -ERANGE)
        return host->fail(ERANGE, "map a peer's region: it has no such range");
    if (rc < 0)
        return host->fail(EACCES, "map a peer's region: it is gone, or not open for this");
    ep->ring->refs++;
    mapping->plugin[0] = (uint64_t)(uintptr_t)piece.map;
    mapping->plugin[1] = (uint64_t)(uintptr_t)ep->ring;
    mapping->plugin[2] = piece.slot;
    *addr_p = piece.addr;
    return 0;
}

void shm_region_unmap(struct ros2_domain *domain, struct ros2_mapping *mapping)
{
    struct shm_ring *ring = (struct shm_ring *)(uintptr_t)mapping->plugin[1];

    shm_domain_own(domain);
    if (!shm_domain_forked(domain))
        atomic_fetch_sub(&ring->my_pins[mapping->plugin[2]], 1);
    map_unref((struct shm_map *)(uintptr_t)mapping->plugin[0]);
    shm_ring_unref(ring);
    *mapping = (struct ros2_mapping){{0}};
}
