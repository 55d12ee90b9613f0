/* SPDX-License-Identifier: Apache-2.0 */
/* A segment is used only after it was found inside a region of this session, process and queue with the right that the
 * request needs; a token is judged by the client's own transport. The daemon registers nothing itself. */
#include "config.h"

#include "daemon/data/segments.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/data/connection.h"
#include "lib/base/error.h"

/* Of a region that this connection has not named before. It has been acquired. */
static int remember(struct ros2d_connection *conn, const struct ros2d_region *region,
                    struct ros2d_rkey **key_p)
{
    const struct ros2d_queue_key *key = &conn->queue->key;

    if (region->queue != key->queue ||
        memcmp(region->process_nonce, key->process_nonce, sizeof(key->process_nonce)) != 0 ||
        strncmp(region->transport, conn->ops->name, sizeof(region->transport)) != 0)
        return ros2i_fail(EACCES, "segment: region 0x%" PRIx64 " was registered for another queue",
                          region->id);
    return ros2d_rkeys_add(&conn->rkeys, conn->ops, conn->ep, conn->thread->state->regions, region,
                           key_p);
}

static int check_range(const struct ros2d_rkey *key, const struct ros2i_segment *segment,
                       uint32_t right)
{
    if (!(key->rights & right))
        return ros2i_fail(EACCES, "segment: region 0x%" PRIx64 " lacks the right", key->region_id);
    if (segment->offset > key->len || segment->len > key->len - segment->offset)
        return ros2i_fail(ERANGE,
                          "segment: offset %" PRIu64 " and length %u go past region 0x%" PRIx64
                          " of %" PRIu64,
                          segment->offset, segment->len, key->region_id, key->len);
    return 0;
}

static int resolve_region(struct ros2d_connection *conn, const struct ros2i_segment *segment,
                          uint32_t right, struct ros2d_segments *segments)
{
    struct ros2d_regions *regions = conn->thread->state->regions;
    struct ros2d_rkey *key = ros2d_rkeys_find(&conn->rkeys, segment->id);
    uint16_t i = segments->count;
    struct ros2d_region region;
    int rc = key ? ros2d_regions_reacquire(regions, segment->id)
                 : ros2d_regions_acquire(regions, conn->session, segment->id, &region);

    if (rc < 0)
        return ros2i_fail(ENOENT, "segment: region 0x%" PRIx64 " is unknown", segment->id);
    segments->region_id[i] = segment->id;
    segments->key[i] = NULL;
    segments->acquired = (uint16_t)(i + 1);
    if (!key)
        rc = remember(conn, &region, &key);
    if (rc == 0)
        rc = check_range(key, segment, right);
    if (rc < 0)
        return rc;
    key->users++;
    segments->key[i] = key;
    segments->remote[i] =
        (struct ros2_remote){.rkey = key->rkey, .offset = segment->offset, .len = segment->len};
    return 0;
}

static int resolve_token(const struct ros2d_connection *conn, const struct ros2i_segment *segment,
                         struct ros2d_segments *segments)
{
    uint16_t i = segments->count;

    if (!(conn->ops->flags & ROS2_TRANSPORT_TOKENS))
        return ros2i_fail(EINVAL, "segment: transport %s has no tokens", conn->ops->name);
    segments->region_id[i] = 0;
    segments->key[i] = NULL;
    segments->acquired = (uint16_t)(i + 1);
    segments->remote[i] =
        (struct ros2_remote){.token = segment->id, .offset = segment->offset, .len = segment->len};
    return 0;
}

int ros2d_segments_resolve(struct ros2d_connection *conn, const struct ros2i_segment *segment,
                           uint16_t count, uint32_t right, struct ros2d_segments *segments)
{
    segments->count = segments->acquired = 0;
    ros2d_rkeys_renew(&conn->rkeys, conn->ops, conn->thread->state->regions);
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
        if (conn && segments->key[i])
            segments->key[i]->users--;
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
