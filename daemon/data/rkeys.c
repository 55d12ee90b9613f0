/* SPDX-License-Identifier: Apache-2.0 */
/* Always holds: at most three quarters of the slots are taken, so that a search ends; an entry stays where it is in memory
 * until it is dropped, since requests point to it. */
#include "config.h"

#include "daemon/data/rkeys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/base/random.h"

#define FIRST_CAPACITY 16u
#define LAST_CAPACITY  (ROS2D_RKEYS_MAX / 3 * 4)
_Static_assert((LAST_CAPACITY & (LAST_CAPACITY - 1)) == 0, "a power of two");

/* Index of the slot that has region_id, or of the one where it would be put. */
static uint32_t probe(const struct ros2d_rkeys *rkeys, uint64_t region_id)
{
    const uint32_t mask = rkeys->capacity - 1;
    uint32_t i = (uint32_t)((region_id * rkeys->factor) >> 40) & mask;

    while (rkeys->slot[i] && rkeys->slot[i]->region_id != region_id)
        i = (i + 1) & mask;
    return i;
}

struct ros2d_rkey *ros2d_rkeys_find(const struct ros2d_rkeys *rkeys, uint64_t region_id)
{
    return rkeys->slot ? rkeys->slot[probe(rkeys, region_id)] : NULL;
}

static void drop(struct ros2d_rkey *key, const struct ros2_transport_ops *ops)
{
    ops->rkey_release(key->rkey);
    free(key);
}

enum keep {
    ALL,
    LIVE, /* or in use */
    IN_USE
};

/* Moves what is to be kept to a table of that size, drops the rest; without memory all stays as it is. */
static bool rebuild(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops,
                    uint32_t capacity, enum keep keep, const struct ros2d_regions *regions)
{
    struct ros2d_rkeys next = {.slot = calloc(capacity, sizeof(*next.slot)),
                               .capacity = capacity,
                               .factor = rkeys->factor};

    if (!next.slot)
        return false;
    for (uint32_t i = 0; i < rkeys->capacity; i++) {
        struct ros2d_rkey *key = rkeys->slot[i];
        if (!key)
            continue;
        bool kept = key->users > 0 || keep == ALL ||
                    (keep == LIVE && ros2d_regions_is_live(regions, key->region_id));
        if (!kept) {
            drop(key, ops);
            continue;
        }
        next.slot[probe(&next, key->region_id)] = key;
        next.count++;
    }
    next.revision = rkeys->revision;
    next.turns = rkeys->turns;
    free(rkeys->slot);
    *rkeys = next;
    return true;
}

static bool has_room(const struct ros2d_rkeys *rkeys)
{
    return rkeys->count < rkeys->capacity / 4 * 3;
}

static int make_room(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops,
                     const struct ros2d_regions *regions)
{
    const uint32_t capacity = rkeys->capacity ? 2 * rkeys->capacity : FIRST_CAPACITY;

    if (has_room(rkeys))
        return 0;
    /* Those that are gone make room first; of those that are not, as many as may be are remembered. */
    if (rkeys->capacity && rebuild(rkeys, ops, rkeys->capacity, LIVE, regions) &&
        rkeys->count < rkeys->capacity / 2)
        return 0;
    if (capacity <= LAST_CAPACITY && rebuild(rkeys, ops, capacity, ALL, NULL))
        return 0;
    if (has_room(rkeys) ||
        (rkeys->capacity && rebuild(rkeys, ops, rkeys->capacity, IN_USE, NULL) && has_room(rkeys)))
        return 0;
    return ros2i_fail(ENOBUFS, "segment: no room for the key of another region beside %u in use",
                      rkeys->count);
}

int ros2d_rkeys_add(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops,
                    struct ros2_ep *ep, const struct ros2d_regions *regions,
                    const struct ros2d_region *region, struct ros2d_rkey **key_p)
{
    if (rkeys->factor == 0) {
        if (ros2i_random(&rkeys->factor, sizeof(rkeys->factor)) < 0)
            return ros2i_fail(ENOBUFS, "segment: no random number for the table of keys");
        rkeys->factor |= 1;
    }
    int rc = make_room(rkeys, ops, regions);
    if (rc < 0)
        return rc;
    struct ros2d_rkey *key = malloc(sizeof(*key));
    if (!key)
        return ros2i_fail(ENOBUFS, "segment: out of memory for the key of a region");
    *key =
        (struct ros2d_rkey){.region_id = region->id, .len = region->len, .rights = region->rights};
    rc = ops->rkey_import(ep, region->key, region->key_len, &key->rkey);
    if (rc < 0) {
        free(key);
        return ros2i_fail(EINVAL,
                          "segment: the key of region 0x%" PRIx64 " is none of transport %s",
                          region->id, ops->name);
    }
    rkeys->slot[probe(rkeys, key->region_id)] = key;
    rkeys->count++;
    *key_p = key;
    return 0;
}

void ros2d_rkeys_renew(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops,
                       const struct ros2d_regions *regions)
{
    const uint64_t revision = ros2d_regions_revision(regions);

    /* Others' regions count into the revision, too: whoever revokes all the time must not cost a look at all keys each time. */
    if (rkeys->revision == revision || rkeys->turns++ < rkeys->capacity)
        return;
    rkeys->turns = 0;
    if (!rkeys->slot || rebuild(rkeys, ops, rkeys->capacity, LIVE, regions))
        rkeys->revision = revision;
}

void ros2d_rkeys_fini(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops)
{
    for (uint32_t i = 0; i < rkeys->capacity; i++)
        if (rkeys->slot[i])
            drop(rkeys->slot[i], ops);
    free(rkeys->slot);
    *rkeys = (struct ros2d_rkeys){0};
}
