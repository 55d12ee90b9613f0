/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of a domain. A token is (generation << 16) | slot: the generation grows by one each time the slot is given back,
 * so that an old token never opens a new region. Owner: the domain's thread. Always: an entry is open only while its region
 * is live; its slot is not used again while a peer has it pinned (the order of both is in peer.c). */
#include "config.h"

#include "transports/shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "transports/shm/endpoint.h"
#include "transports/shm/file.h"
#include "transports/shm/share.h"

#define NO_SLOT        UINT32_MAX
#define GENERATION_MAX ((1ull << (64 - SHM_SLOT_BITS)) - 1)
#define ALL_RIGHTS     (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

int shm_regions_init(struct shm_regions *regions)
{
    void *table;

    *regions = (struct shm_regions){.free_head = NO_SLOT};
    regions->table_fd = shm_file_create("ros2-shm-regions", SHM_TABLE_LEN, &table);
    if (regions->table_fd < 0)
        return regions->table_fd;
    regions->table = table;
    return 0;
}

void shm_regions_fini(struct shm_regions *regions)
{
    for (unsigned i = 0; i < SHM_FILES; i++)
        if (regions->file[i].serial)
            close(regions->file[i].fd);
    for (uint32_t i = 0; i < regions->slot_count / SHM_CHUNK_SLOTS; i++)
        free(regions->chunk[i]);
    for (uint32_t i = 0; i < regions->stuck_count; i++)
        shm_ring_unref(regions->stuck[i]);
    free(regions->stuck);
    munmap(regions->table, SHM_TABLE_LEN);
    close(regions->table_fd);
}

static struct ros2_region *slot_at(const struct shm_regions *regions, uint32_t slot)
{
    return &regions->chunk[slot / SHM_CHUNK_SLOTS][slot % SHM_CHUNK_SLOTS];
}

static uint64_t token_of(const struct ros2_region *region)
{
    return region->generation << SHM_SLOT_BITS | region->slot;
}

static void set_state(struct ros2_region *region, unsigned state)
{
    atomic_store(&region->domain->regions.table->entry[region->slot].state,
                 region->generation << SHM_ENTRY_BITS | state);
}

static void publish(struct ros2_region *region, uint32_t file,
                    const struct ros2_shared_range *range)
{
    struct shm_entry *entry = &region->domain->regions.table->entry[region->slot];

    atomic_store_explicit(&entry->serial, range->serial, memory_order_relaxed);
    atomic_store_explicit(&entry->offset, range->offset, memory_order_relaxed);
    atomic_store_explicit(&entry->len, region->len, memory_order_relaxed);
    atomic_store_explicit(&entry->file, file, memory_order_relaxed);
    atomic_store_explicit(&entry->rights, region->rights, memory_order_relaxed);
    set_state(region, SHM_ENTRY_LIVE); /* behind the rest */
}

/* -- registering -- */

/* Adds a chunk of slots to the free list, lowest slot first. */
static int grow(struct ros2_domain *domain)
{
    struct shm_regions *regions = &domain->regions;

    if (regions->slot_count >= SHM_SLOTS)
        return domain->host->fail(EMFILE,
                                  "register memory: %u regions are registered already; "
                                  "deregister some, or register larger ones",
                                  SHM_SLOTS);
    struct ros2_region *chunk = calloc(SHM_CHUNK_SLOTS, sizeof *chunk);
    if (!chunk)
        return domain->host->fail(ENOMEM, "register memory: out of memory for the region table");
    regions->chunk[regions->slot_count / SHM_CHUNK_SLOTS] = chunk;
    for (uint32_t i = SHM_CHUNK_SLOTS; i-- > 0;) {
        chunk[i].domain = domain;
        chunk[i].slot = regions->slot_count + i;
        chunk[i].generation = 1; /* never 0: neither is any token */
        chunk[i].next_free = regions->free_head;
        regions->free_head = chunk[i].slot;
    }
    regions->slot_count += SHM_CHUNK_SLOTS;
    return 0;
}

static int check(struct ros2_domain *domain, const void *addr, size_t len, unsigned rights,
                 enum ros2_memory_kind kind)
{
    if (kind != ROS2_MEMORY_HOST)
        return domain->host->fail(ENOTSUP,
                                  "register memory: transport shm reaches host memory only; "
                                  "copy to host memory, or use a transport with GPU support");
    if (!addr || len == 0 || (rights & ~(unsigned)ALL_RIGHTS) ||
        (uintptr_t)addr + len < (uintptr_t)addr)
        return domain->host->fail(
            EINVAL, "register memory: %zu bytes at %p with rights %#x is no valid range", len, addr,
            rights);
    return 0;
}

int shm_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p)
{
    struct shm_regions *regions = &domain->regions;
    struct ros2_shared_range range;
    uint32_t file;

    shm_domain_own(domain);
    int rc = check(domain, addr, len, rights, kind);
    if (rc < 0)
        return rc;
    if (!domain->memory || domain->memory->find(domain->memory->arg, addr, len, &range) < 0)
        return domain->host->fail(ENOTSUP, "register memory: transport shm reaches only memory "
                                           "that was allocated to be shared");
    if (regions->free_head == NO_SLOT) {
        rc = grow(domain);
        if (rc < 0)
            return rc;
    }
    rc = shm_share_file(domain, &range, &file);
    if (rc < 0)
        return rc;
    struct ros2_region *region = slot_at(regions, regions->free_head);
    regions->free_head = region->next_free;
    region->addr = addr;
    region->len = len;
    region->rights = (uint8_t)rights;
    region->live = region->used = true;
    shm_share_use(region, file);
    publish(region, file, &range);
    *region_p = region;
    return 0;
}

/* -- deregistering -- */

static void close_entry(struct ros2_region *region)
{
    region->live = false;
    region->generation++;
    set_state(region, SHM_ENTRY_DEAD);
}

static bool pinned(const struct shm_ring *ring, const struct ros2_region *region)
{
    return atomic_load(&ring->their_pins[region->slot]) != 0;
}

static bool pinned_by_any(struct ros2_region *region)
{
    struct ros2_domain *domain = region->domain;
    const struct shm_regions *regions = &domain->regions;

    for (struct shm_list *l = domain->sharing.next; l != &domain->sharing; l = l->next)
        if (pinned(SHM_CONTAINER(l, struct ros2_ep, sharing_link)->ring, region))
            return true;
    for (uint32_t i = 0; i < regions->stuck_count; i++)
        if (pinned(regions->stuck[i], region))
            return true;
    return false;
}

int shm_region_deregister(struct ros2_region *region)
{
    struct shm_regions *regions = &region->domain->regions;

    shm_domain_own(region->domain);
    if (!shm_domain_forked(region->domain)) {
        if (region->live)
            close_entry(region);
        if (pinned_by_any(region))
            return -EBUSY; /* not a failure: the caller tries again, so no text */
    }
    region->live = region->used = false;
    shm_share_unuse(region);
    region->addr = NULL;
    region->len = 0;
    /* A slot whose generations are used up is left aside for good. */
    if (region->generation < GENERATION_MAX) {
        region->next_free = regions->free_head;
        regions->free_head = region->slot;
    }
    return 0;
}

/* -- taking memory back from a peer that has it pinned -- */

static bool overlap(const struct ros2_region *region, uintptr_t from, uintptr_t to)
{
    uintptr_t addr = (uintptr_t)region->addr;

    return region->used && addr < to && addr + region->len > from;
}

/* Whoever else has the region pinned writes to pages that are no longer its: that would be lost without a word. */
static void end_others(struct ros2_region *region)
{
    struct ros2_domain *domain = region->domain;

    for (struct shm_list *l = domain->sharing.next; l != &domain->sharing; l = l->next) {
        struct ros2_ep *ep = SHM_CONTAINER(l, struct ros2_ep, sharing_link);
        if (pinned(ep->ring, region))
            shm_ep_doom(ep, shm_ep_fail(ep, ECONNRESET,
                                        "the memory under its access was taken "
                                        "away, as another peer held it too"));
    }
}

/* The region has other pages now. Its token stays good where they are in one file. */
static void moved(struct ros2_region *region)
{
    struct ros2_domain *domain = region->domain;
    struct ros2_shared_range range;
    uint32_t file;

    if (region->live)
        set_state(region, SHM_ENTRY_MOVING);
    end_others(region);
    if (!region->live)
        return;
    if (domain->memory->find(domain->memory->arg, region->addr, region->len, &range) == 0 &&
        shm_share_file(domain, &range, &file) == 0) {
        shm_share_unuse(region);
        shm_share_use(region, file);
        publish(region, file, &range);
    } else {
        set_state(region, SHM_ENTRY_DEAD); /* who names it breaks the protocol: loud, not lost */
    }
}

static int replace(struct ros2_region *region)
{
    const struct ros2_domain *domain = region->domain;
    const uintptr_t page = ROS2_SHARED_MEMORY_ALIGN;
    uintptr_t from = (uintptr_t)region->addr & ~(page - 1);
    uintptr_t to = ((uintptr_t)region->addr + region->len + page - 1) & ~(page - 1);
    int rc = domain->memory->replace(domain->memory->arg, region->addr, region->len);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < domain->regions.slot_count; i++) {
        struct ros2_region *other = slot_at(&domain->regions, i);
        if (overlap(other, from, to))
            moved(other);
    }
    return 0;
}

/* Its pins go on counting. Without memory for that they cannot be told from none: they are never looked at again, which is
 * said; the process's other memory is in no danger, for the peer reaches what it was given and nothing else. */
static void keep_looking(struct ros2_domain *domain, struct ros2_ep *ep)
{
    struct shm_regions *regions = &domain->regions;
    struct shm_ring **stuck =
        realloc(regions->stuck, (regions->stuck_count + 1) * sizeof(struct shm_ring *));

    domain->host->log(ROS2_LOG_ERROR, "transport/shm",
                      "%s has memory mapped that could not be taken back from it: out of memory%s",
                      ep->peer, stuck ? "" : "; it may still write to it");
    if (!stuck)
        return;
    ep->ring->refs++;
    regions->stuck = stuck;
    regions->stuck[regions->stuck_count++] = ep->ring;
}

void shm_regions_revoke(struct ros2_domain *domain, struct ros2_ep *ep)
{
    const struct shm_regions *regions = &domain->regions;
    bool failed = false;

    for (uint32_t i = 0; i < regions->slot_count; i++) {
        struct ros2_region *region = slot_at(regions, i);
        if (region->used && pinned(ep->ring, region))
            failed |= replace(region) < 0;
    }
    if (failed)
        keep_looking(domain, ep);
}

/* -- names -- */

uint64_t shm_region_token(struct ros2_region *region)
{
    shm_domain_own(region->domain);
    return token_of(region);
}

/* A packed key: token, length, rights, magic; in this machine's byte order, as both ends are on it. */
struct key {
    uint64_t token, len;
    uint32_t rights, magic;
};
#define KEY_MAGIC 0x314b5352u /* "RSK1" */

int shm_region_pack(struct ros2_region *region, void *buf, size_t len)
{
    const struct key key = {token_of(region), region->len, region->rights, KEY_MAGIC};

    shm_domain_own(region->domain);
    if (len < sizeof key)
        return region->domain->host->fail(
            ENOSPC, "pack a region's key: %zu bytes are needed, %zu given", sizeof key, len);
    memcpy(buf, &key, sizeof key);
    return (int)sizeof key;
}

int shm_rkey_import(struct ros2_ep *ep, const void *bytes, size_t len, struct ros2_rkey **rkey_p)
{
    const struct ros2_host *host = ep->domain->host;
    struct key key;

    shm_domain_own(ep->domain);
    if (len != sizeof key)
        return host->fail(EINVAL, "import a region's key: not a key of transport shm");
    memcpy(&key, bytes, sizeof key);
    if (key.magic != KEY_MAGIC || key.token == 0 || (key.rights & ~(uint32_t)ALL_RIGHTS))
        return host->fail(EINVAL, "import a region's key: not a key of transport shm");
    struct ros2_rkey *rkey = malloc(sizeof *rkey);
    if (!rkey)
        return host->fail(ENOMEM, "import a region's key: out of memory");
    *rkey = (struct ros2_rkey){.token = key.token, .len = key.len, .rights = key.rights};
    *rkey_p = rkey;
    return 0;
}

void shm_rkey_release(struct ros2_rkey *rkey)
{
    free(rkey);
}
