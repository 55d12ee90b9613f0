/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of a domain. A token is (generation << 24) | slot: the generation grows by one each time the slot is given
 * back, so that an old token never opens a new region. A slot's first generation is drawn at random, so that one domain's tokens
 * tell nothing about another's. Owner: the domain's thread. Always: a token resolves only while its region is live,
 * within its bounds and rights. */
#include "config.h"

#include "transports/tcp/region.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/tcp/domain.h"
#include "transports/tcp/endpoint.h"

#define SLOT_BITS      24
#define SLOT_MASK      ((1u << SLOT_BITS) - 1)
#define SLOTS_MAX      (1u << 20) /* regions of one domain */
#define CHUNK_SLOTS    256u
#define NO_SLOT        UINT32_MAX
#define GENERATION_MAX ((1ull << (64 - SLOT_BITS)) - 1)
/* First generations stay below half, so that no slot wears out in less than 2^39 uses. */
#define GENERATION_FIRST_MASK (GENERATION_MAX >> 1)

#define ALL_RIGHTS (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

/* A packed key: token, length, rights, magic; little-endian. */
#define KEY_LEN   24
#define KEY_MAGIC 0x31544352u /* "RCT1" */

void tcp_regions_init(struct tcp_regions *regions)
{
    *regions = (struct tcp_regions){.free_head = NO_SLOT};
}

void tcp_regions_fini(struct tcp_regions *regions)
{
    for (uint32_t i = 0; i < regions->slot_count / CHUNK_SLOTS; i++)
        free(regions->chunk[i]);
    free(regions->chunk);
    tcp_regions_init(regions);
}

static struct ros2_region *slot_at(const struct tcp_regions *regions, uint32_t slot)
{
    return &regions->chunk[slot / CHUNK_SLOTS][slot % CHUNK_SLOTS];
}

static uint64_t token_of(const struct ros2_region *region)
{
    return region->generation << SLOT_BITS | region->slot;
}

/* The live region of token. -ESTALE, -EACCES as in tcp_region_resolve. */
static int find(const struct tcp_regions *regions, uint64_t token, struct ros2_region **region_p)
{
    uint32_t slot = (uint32_t)token & SLOT_MASK;
    uint64_t generation = token >> SLOT_BITS;

    if (slot >= regions->slot_count)
        return -EACCES;
    struct ros2_region *region = slot_at(regions, slot);
    if (generation == region->generation && region->live) {
        *region_p = region;
        return 0;
    }
    return generation >= region->first && generation < region->generation ? -ESTALE : -EACCES;
}

int tcp_region_resolve(const struct tcp_regions *regions, const struct tcp_segment *segment,
                       unsigned right, uint8_t **addr_p)
{
    struct ros2_region *region;
    int rc = find(regions, segment->token, &region);

    if (rc < 0)
        return rc;
    if (!(region->rights & right))
        return -EACCES;
    if (segment->offset > region->len || segment->len > region->len - segment->offset)
        return -ERANGE;
    *addr_p = region->addr + segment->offset;
    return 0;
}

void tcp_region_hold(const struct tcp_regions *regions, const struct tcp_segment *segment,
                     int change)
{
    struct ros2_region *region;

    if (find(regions, segment->token, &region) == 0)
        region->busy += (uint32_t)change;
}

/* Adds a chunk of slots to the free list, lowest slot first. */
static int grow(struct ros2_domain *domain)
{
    struct tcp_regions *regions = &domain->regions;
    uint32_t chunks = regions->slot_count / CHUNK_SLOTS;
    uint64_t random[CHUNK_SLOTS];

    if (regions->slot_count >= SLOTS_MAX)
        return domain->host->fail(EMFILE,
                                  "register memory: %u regions are registered already; "
                                  "deregister some, or register larger ones",
                                  SLOTS_MAX);
    int rc = domain->host->random(random, sizeof random);
    if (rc < 0)
        return rc;
    struct ros2_region **table = realloc(regions->chunk, (chunks + 1) * sizeof *table);
    if (!table)
        goto no_memory;
    regions->chunk = table;
    struct ros2_region *chunk = calloc(CHUNK_SLOTS, sizeof *chunk);
    if (!chunk)
        goto no_memory;
    table[chunks] = chunk;
    for (uint32_t i = CHUNK_SLOTS; i-- > 0;) {
        chunk[i].domain = domain;
        chunk[i].slot = regions->slot_count + i;
        /* Never 0: neither is any token. */
        chunk[i].first = chunk[i].generation = (random[i] & GENERATION_FIRST_MASK) | 1;
        chunk[i].next_free = regions->free_head;
        regions->free_head = chunk[i].slot;
    }
    regions->slot_count += CHUNK_SLOTS;
    return 0;
no_memory:
    return domain->host->fail(ENOMEM, "register memory: out of memory for the region table");
}

int tcp_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p)
{
    struct tcp_regions *regions = &domain->regions;

    tcp_domain_own(domain);
    if (kind != ROS2_MEMORY_HOST)
        return domain->host->fail(ENOTSUP,
                                  "register memory: transport tcp reaches host memory only; "
                                  "copy to host memory, or use a transport with GPU support");
    if (!addr || len == 0 || (rights & ~(unsigned)ALL_RIGHTS) ||
        (uintptr_t)addr + len < (uintptr_t)addr)
        return domain->host->fail(
            EINVAL, "register memory: %zu bytes at %p with rights %#x is no valid range", len, addr,
            rights);
    if (regions->free_head == NO_SLOT) {
        int rc = grow(domain);
        if (rc < 0)
            return rc;
    }
    struct ros2_region *region = slot_at(regions, regions->free_head);
    regions->free_head = region->next_free;
    region->addr = addr;
    region->len = len;
    region->rights = (uint8_t)rights;
    region->busy = 0;
    region->live = true;
    *region_p = region;
    return 0;
}

int tcp_region_deregister(struct ros2_region *region)
{
    struct tcp_regions *regions = &region->domain->regions;

    tcp_domain_own(region->domain);
    if (region->busy)
        return -EBUSY; /* not a failure: the caller tries again, so no text */
    /* Frames half received look the token up again before each read, answers not yet begun before the first byte. */
    region->live = false;
    region->addr = NULL;
    region->len = 0;
    region->generation++;
    /* A slot whose generations are used up is left aside for good. */
    if (region->generation < GENERATION_MAX) {
        region->next_free = regions->free_head;
        regions->free_head = region->slot;
    }
    return 0;
}

int tcp_region_pack(struct ros2_region *region, void *buf, size_t len)
{
    uint8_t *bytes = buf;

    tcp_domain_own(region->domain);
    if (len < KEY_LEN)
        return region->domain->host->fail(
            ENOSPC, "pack a region's key: %d bytes are needed, %zu given", KEY_LEN, len);
    tcp_store64(bytes, token_of(region));
    tcp_store64(bytes + 8, region->len);
    tcp_store32(bytes + 16, region->rights);
    tcp_store32(bytes + 20, KEY_MAGIC);
    return KEY_LEN;
}

uint64_t tcp_region_token(struct ros2_region *region)
{
    tcp_domain_own(region->domain);
    return token_of(region);
}

int tcp_rkey_import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p)
{
    const struct ros2_host *host = ep->domain->host;
    const uint8_t *bytes = key;

    tcp_domain_own(ep->domain);
    if (len != KEY_LEN || tcp_load32(bytes + 20) != KEY_MAGIC)
        return host->fail(EINVAL, "import a region's key: not a key of transport tcp");
    uint32_t rights = tcp_load32(bytes + 16);
    if (tcp_load64(bytes) == 0 || (rights & ~(uint32_t)ALL_RIGHTS))
        return host->fail(EINVAL, "import a region's key: its fields are out of range");
    struct ros2_rkey *rkey = malloc(sizeof *rkey);
    if (!rkey)
        return host->fail(ENOMEM, "import a region's key: out of memory");
    rkey->token = tcp_load64(bytes);
    rkey->len = tcp_load64(bytes + 8);
    rkey->rights = rights;
    *rkey_p = rkey;
    return 0;
}

void tcp_rkey_release(struct ros2_rkey *rkey)
{
    free(rkey);
}
