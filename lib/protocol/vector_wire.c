/* SPDX-License-Identifier: Apache-2.0 */
/* READV and CLOSE: the bodies. Pure functions, any thread. Their long arrays, extents and handles, come last and stay in the
 * message's own bytes, which are judged in place. */
#include "config.h"

#include <errno.h>

#include "lib/base/error.h"
#include "lib/protocol/bytes.h"
#include "lib/protocol/wire_parts.h"

/* -- the arrays: an extent is u64 handle, u64 offset, u32 length, u32 reserved; a result u32 status, u32 bytes -- */

_Static_assert(ROS2I_WIRE_EXTENT_LEN == 8 + 8 + 4 + 4, "extent layout");
_Static_assert(ROS2I_WIRE_RESULT_LEN == 4 + 4, "result layout");

static const uint8_t *extent_at(const void *extents, size_t i)
{
    return (const uint8_t *)extents + i * ROS2I_WIRE_EXTENT_LEN;
}

struct ros2i_extent ros2i_extent_get(const void *extents, size_t i)
{
    const uint8_t *at = extent_at(extents, i);

    return (struct ros2i_extent){.handle = ros2i_get_u64(at),
                                 .offset = ros2i_get_u64(at + 8),
                                 .len = ros2i_get_u32(at + 16)};
}

void ros2i_extent_put(void *extents, size_t i, const struct ros2i_extent *extent)
{
    uint8_t *at = (uint8_t *)extents + i * ROS2I_WIRE_EXTENT_LEN;

    ros2i_put_u64(at, extent->handle);
    ros2i_put_u64(at + 8, extent->offset);
    ros2i_put_u32(at + 16, extent->len);
    ros2i_put_u32(at + 20, 0);
}

uint64_t ros2i_close_get(const void *handles, size_t i)
{
    return ros2i_get_u64((const uint8_t *)handles + 8 * i);
}

void ros2i_close_put(void *handles, size_t i, uint64_t handle)
{
    ros2i_put_u64((uint8_t *)handles + 8 * i, handle);
}

struct ros2i_extent_result ros2i_result_get(const void *results, size_t i)
{
    const uint8_t *at = (const uint8_t *)results + i * ROS2I_WIRE_RESULT_LEN;

    return (struct ros2i_extent_result){ros2i_get_u32(at), ros2i_get_u32(at + 4)};
}

void ros2i_result_put(void *results, size_t i, const struct ros2i_extent_result *result)
{
    uint8_t *at = (uint8_t *)results + i * ROS2I_WIRE_RESULT_LEN;

    ros2i_put_u32(at, result->status);
    ros2i_put_u32(at + 4, result->bytes);
}

/* -- READV: u16 extent count, u16 segment count, u32 length, segments, extents -- */

#define VECTOR_LEN (2 + 2 + 4)

_Static_assert(ROS2I_WIRE_HEADER_LEN + VECTOR_LEN +
                       ROS2I_WIRE_SEGMENTS_MAX * ROS2I_WIRE_SEGMENT_LEN +
                       ROS2I_WIRE_EXTENTS_MAX * ROS2I_WIRE_EXTENT_LEN <=
                   ROS2I_WIRE_MESSAGE_MAX,
               "no READV is longer than the limit given to transports");
_Static_assert(ROS2I_WIRE_EXTENTS_MAX *ROS2I_WIRE_RESULT_LEN <= ROS2I_WIRE_INLINE_MAX,
               "nor its reply");

static int check_vector_counts(const struct ros2i_vector_request *v, int err)
{
    if (v->extent_count == 0 || v->extent_count > ROS2I_WIRE_EXTENTS_MAX)
        return ros2i_fail(err, "READV message: %u extents, allowed are 1..%u", v->extent_count,
                          ROS2I_WIRE_EXTENTS_MAX);
    if (v->segment_count > ROS2I_WIRE_SEGMENTS_MAX)
        return ros2i_fail(err, "READV message: %u segments, at most %u are allowed",
                          v->segment_count, ROS2I_WIRE_SEGMENTS_MAX);
    return 0;
}

static size_t size_vector(const struct ros2i_msg *msg, size_t *payload_len_p)
{
    const struct ros2i_vector_request *v = &msg->u.vector;

    *payload_len_p = (size_t)v->extent_count * ROS2I_WIRE_EXTENT_LEN;
    return VECTOR_LEN + (size_t)v->segment_count * ROS2I_WIRE_SEGMENT_LEN;
}

static int decode_vector(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    struct ros2i_vector_request *v = &msg->u.vector;
    size_t extents_len;

    v->extent_count = ros2i_get_u16(body);
    v->segment_count = ros2i_get_u16(body + 2);
    v->length = ros2i_get_u32(body + 4);
    int rc = check_vector_counts(v, EPROTO);
    if (rc < 0)
        return rc;
    size_t size = size_vector(msg, &extents_len);
    if (len < size + extents_len)
        return ros2i_fail(EPROTO,
                          "READV message: body of %zu bytes ends within %u segments and %u extents",
                          len, v->segment_count, v->extent_count);
    ros2i_segments_decode(v->segment, v->segment_count, body + VECTOR_LEN);
    v->extents = body + size;
    return 0;
}

static void encode_vector(const struct ros2i_msg *msg, uint8_t *body)
{
    const struct ros2i_vector_request *v = &msg->u.vector;

    ros2i_put_u16(body, v->extent_count);
    ros2i_put_u16(body + 2, v->segment_count);
    ros2i_put_u32(body + 4, v->length);
    ros2i_segments_encode(v->segment, v->segment_count, body + VECTOR_LEN);
}

static int check_extents(const struct ros2i_vector_request *v, int err)
{
    uint64_t sum = 0; /* of at most 1024 32-bit lengths */

    for (unsigned i = 0; i < v->extent_count; i++) {
        struct ros2i_extent extent = ros2i_extent_get(v->extents, i);
        uint32_t reserved = ros2i_get_u32(extent_at(v->extents, i) + 20);

        if (extent.offset > (uint64_t)INT64_MAX - extent.len)
            return ros2i_fail(err,
                              "READV message: extent %u, offset 0x%llx and length %u go past "
                              "2^63 - 1",
                              i, (unsigned long long)extent.offset, extent.len);
        if (reserved != 0)
            return ros2i_fail(err, "READV message: extent %u, reserved field is 0x%x", i, reserved);
        sum += extent.len;
    }
    if (sum != v->length)
        return ros2i_fail(err, "READV message: extents hold %llu bytes, length is %u",
                          (unsigned long long)sum, v->length);
    return 0;
}

static int check_vector(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_vector_request *v = &msg->u.vector;
    int rc = check_vector_counts(v, err);

    if (rc < 0)
        return rc;
    if (v->length > ROS2I_WIRE_IO_MAX)
        return ros2i_fail(err, "READV message: length %u, at most %u are allowed", v->length,
                          ROS2I_WIRE_IO_MAX);
    if (v->segment_count == 0 &&
        v->length + v->extent_count * ROS2I_WIRE_RESULT_LEN > ROS2I_WIRE_INLINE_MAX)
        return ros2i_fail(err,
                          "READV message: length %u of %u extents without segments, at most %u "
                          "bytes of results and data ride inline",
                          v->length, v->extent_count, ROS2I_WIRE_INLINE_MAX);
    rc = ros2i_segments_check("READV", v->segment, v->segment_count, v->length, err);
    if (rc < 0)
        return rc;
    return check_extents(v, err);
}

const struct ros2i_codec ros2i_codec_readv = {
    .name = "READV",
    .flags = ROS2I_MSG_CHECKSUM | ROS2I_MSG_REPLAY,
    .id_rule = ROS2I_ID_NEEDED,
    .fixed = VECTOR_LEN,
    .decode = decode_vector,
    .check = check_vector,
    .size = size_vector,
    .encode = encode_vector,
};

/* -- CLOSE: u32 count, u32 reserved, handles -- */

#define CLOSE_LEN (4 + 4)

_Static_assert(ROS2I_WIRE_HEADER_LEN + CLOSE_LEN + ROS2I_WIRE_CLOSES_MAX * 8 <=
                   ROS2I_WIRE_MESSAGE_MAX,
               "no CLOSE is longer than the limit given to transports");

static int check_close(const struct ros2i_msg *msg, int err)
{
    uint32_t count = msg->u.close.count;

    return count >= 1 && count <= ROS2I_WIRE_CLOSES_MAX
               ? 0
               : ros2i_fail(err, "CLOSE message: %u handles, allowed are 1..%u", count,
                            ROS2I_WIRE_CLOSES_MAX);
}

static size_t size_close(const struct ros2i_msg *msg, size_t *payload_len_p)
{
    *payload_len_p = (size_t)msg->u.close.count * 8;
    return CLOSE_LEN;
}

static int decode_close(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    uint32_t reserved = ros2i_get_u32(body + 4);

    (void)
        len; /* that the handles are all there follows from size, and check does not look at them */
    msg->u.close.count = ros2i_get_u32(body);
    msg->u.close.handles = body + CLOSE_LEN;
    return reserved == 0
               ? 0
               : ros2i_fail(EPROTO, "CLOSE message: the reserved field is 0x%x", reserved);
}

static void encode_close(const struct ros2i_msg *msg, uint8_t *body)
{
    ros2i_put_u32(body, msg->u.close.count);
    ros2i_put_u32(body + 4, 0);
}

const struct ros2i_codec ros2i_codec_close = {
    .name = "CLOSE",
    .flags = ROS2I_MSG_REPLAY,
    .id_rule = ROS2I_ID_NEEDED,
    .fixed = CLOSE_LEN,
    .decode = decode_close,
    .check = check_close,
    .size = size_close,
    .encode = encode_close,
};
