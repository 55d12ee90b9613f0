/* SPDX-License-Identifier: Apache-2.0 */
/* A segment is used only after it was found inside a region of this session, process and queue with the right that the
 * request needs; a token is judged by the client's own transport. The daemon registers nothing itself. */
#include "config.h"

#include "daemon/data/segments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/connection.h"
#include "lib/base/error.h"

#define KEYS   64 /* distinct regions of one connection in use at once */
#define NO_KEY UINT8_MAX

struct ros2d_rkey_slot {
    uint64_t region_id; /* 0: free; an id is never used again, so neither is a stale key */
    struct ros2_rkey *rkey;
    uint32_t users;
};

static void drop_key(struct ros2d_rkey_slot *slot, const struct ros2_transport_ops *ops)
{
    ops->rkey_release(slot->rkey);
    *slot = (struct ros2d_rkey_slot){0};
}

static void drop_unused(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops)
{
    for (unsigned i = 0; i < KEYS; i++)
        if (rkeys->slot[i].region_id && rkeys->slot[i].users == 0)
            drop_key(&rkeys->slot[i], ops);
}

void ros2d_rkeys_fini(struct ros2d_rkeys *rkeys, const struct ros2_transport_ops *ops)
{
    if (!rkeys->slot)
        return;
    for (unsigned i = 0; i < KEYS; i++)
        if (rkeys->slot[i].region_id)
            drop_key(&rkeys->slot[i], ops);
    free(rkeys->slot);
    rkeys->slot = NULL;
}

/* -- keys -- */

static int prepare_keys(struct ros2d_connection *conn)
{
    struct ros2d_rkeys *rkeys = &conn->rkeys;
    uint64_t revision = ros2d_regions_revision(conn->thread->state->regions);

    if (!rkeys->slot) {
        rkeys->slot = calloc(KEYS, sizeof(*rkeys->slot));
        if (!rkeys->slot)
            return ros2i_fail(ENOBUFS, "segment: out of memory for keys");
    } else if (rkeys->revision != revision) {
        drop_unused(rkeys, conn->ops);
    }
    rkeys->revision = revision;
    return 0;
}

static struct ros2d_rkey_slot *find_key(struct ros2d_rkeys *rkeys, uint64_t region_id)
{
    for (unsigned i = 0; i < KEYS; i++)
        if (rkeys->slot[i].region_id == region_id)
            return &rkeys->slot[i];
    return NULL;
}

static struct ros2d_rkey_slot *free_key(struct ros2d_rkeys *rkeys,
                                        const struct ros2_transport_ops *ops)
{
    struct ros2d_rkey_slot *slot = find_key(rkeys, 0);

    if (slot)
        return slot;
    drop_unused(rkeys, ops);
    return find_key(rkeys, 0);
}

static int import_key(struct ros2d_connection *conn, const struct ros2d_region *region,
                      uint8_t *index_p)
{
    const struct ros2_transport_ops *ops = conn->ops;
    struct ros2d_rkey_slot *slot;
    int rc = prepare_keys(conn);

    if (rc < 0)
        return rc;
    slot = find_key(&conn->rkeys, region->id);
    if (!slot) {
        slot = free_key(&conn->rkeys, ops);
        if (!slot)
            return ros2i_fail(ENOBUFS,
                              "segment: more than %d regions of one channel in use at once", KEYS);
        rc = ops->rkey_import(conn->ep, region->key, region->key_len, &slot->rkey);
        if (rc < 0)
            return ros2i_fail(EINVAL,
                              "segment: the key of region 0x%" PRIx64 " is none of transport %s",
                              region->id, ops->name);
        slot->region_id = region->id;
    }
    slot->users++;
    *index_p = (uint8_t)(slot - conn->rkeys.slot);
    return 0;
}

/* -- segments -- */

static int check_region(const struct ros2d_connection *conn, const struct ros2d_region *region,
                        const struct ros2i_segment *segment, uint32_t right)
{
    const struct ros2d_queue_key *key = &conn->queue->key;

    if (region->queue != key->queue ||
        memcmp(region->process_nonce, key->process_nonce, sizeof(key->process_nonce)) != 0 ||
        strncmp(region->transport, conn->ops->name, sizeof(region->transport)) != 0)
        return ros2i_fail(EACCES, "segment: region 0x%" PRIx64 " was registered for another queue",
                          region->id);
    if (!(region->rights & right))
        return ros2i_fail(EACCES, "segment: region 0x%" PRIx64 " lacks the right", region->id);
    if (segment->offset > region->len || segment->len > region->len - segment->offset)
        return ros2i_fail(ERANGE,
                          "segment: offset %" PRIu64 " and length %u go past region 0x%" PRIx64
                          " of %" PRIu64,
                          segment->offset, segment->len, region->id, region->len);
    return 0;
}

static int resolve_region(struct ros2d_connection *conn, const struct ros2i_segment *segment,
                          uint32_t right, struct ros2d_segments *segments)
{
    uint16_t i = segments->count;
    struct ros2d_region region;

    if (ros2d_regions_acquire(conn->thread->state->regions, conn->session, segment->id, &region) <
        0)
        return ros2i_fail(ENOENT, "segment: region 0x%" PRIx64 " is unknown", segment->id);
    segments->region_id[i] = segment->id;
    segments->key_slot[i] = NO_KEY;
    segments->acquired = (uint16_t)(i + 1);
    int rc = check_region(conn, &region, segment, right);
    if (rc == 0)
        rc = import_key(conn, &region, &segments->key_slot[i]);
    if (rc < 0)
        return rc;
    segments->remote[i] = (struct ros2_remote){.rkey = conn->rkeys.slot[segments->key_slot[i]].rkey,
                                               .offset = segment->offset,
                                               .len = segment->len};
    return 0;
}

static int resolve_token(const struct ros2d_connection *conn, const struct ros2i_segment *segment,
                         struct ros2d_segments *segments)
{
    uint16_t i = segments->count;

    if (!(conn->ops->flags & ROS2_TRANSPORT_TOKENS))
        return ros2i_fail(EINVAL, "segment: transport %s has no tokens", conn->ops->name);
    segments->region_id[i] = 0;
    segments->key_slot[i] = NO_KEY;
    segments->acquired = (uint16_t)(i + 1);
    segments->remote[i] =
        (struct ros2_remote){.token = segment->id, .offset = segment->offset, .len = segment->len};
    return 0;
}

int ros2d_segments_resolve(struct ros2d_connection *conn, const struct ros2i_segment *segment,
                           uint16_t count, uint32_t right, struct ros2d_segments *segments)
{
    segments->count = segments->acquired = 0;
    for (uint16_t i = 0; i < count; i++, segment++) {
        int rc = segment->kind == ROS2I_SEGMENT_TOKEN
                     ? resolve_token(conn, segment, segments)
                     : resolve_region(conn, segment, right, segments);
        if (rc < 0) {
            ros2d_segments_release(conn, conn->thread->state->regions, segments);
            return rc;
        }
        segments->count++;
    }
    return 0;
}

void ros2d_segments_release(struct ros2d_connection *conn, struct ros2d_regions *regions,
                            struct ros2d_segments *segments)
{
    for (uint16_t i = 0; i < segments->acquired; i++) {
        if (!segments->region_id[i])
            continue;
        if (conn && segments->key_slot[i] != NO_KEY)
            conn->rkeys.slot[segments->key_slot[i]].users--;
        ros2d_regions_release(regions, segments->region_id[i]);
    }
    segments->count = segments->acquired = 0;
}

int ros2d_segments_slice(const struct ros2d_segments *segments, uint64_t at, uint64_t len,
                         struct ros2_remote out[ROS2I_WIRE_SEGMENTS_MAX])
{
    int count = 0;

    for (uint16_t i = 0; i < segments->count && len > 0; i++) {
        const struct ros2_remote *remote = &segments->remote[i];
        if (at >= remote->len) {
            at -= remote->len;
            continue;
        }
        uint64_t part = remote->len - at < len ? remote->len - at : len;
        out[count] = *remote;
        out[count].offset += at;
        out[count].len = part;
        count++;
        len -= part;
        at = 0;
    }
    return count;
}
