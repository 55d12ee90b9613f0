/* SPDX-License-Identifier: Apache-2.0 */
/* READ, WRITE, FSYNC, CANCEL, PING and what answers them, REPLY and PONG: the bodies. Pure functions, any thread. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/protocol/bytes.h"
#include "lib/protocol/wire_parts.h"

/* -- READ, WRITE: u64 handle, u64 offset, u32 length, u16 segment count, u16 checksum count, then the segments (u64 id,
 * u64 offset, u32 length, u32 kind), then the checksums (u32), then the payload of a WRITE without segments -- */

#define IO_LEN    (8 + 8 + 4 + 2 + 2)
#define CRC_LEN   4
#define BLOCK_MIN 65536u /* of CHALLENGE's checksum block */

_Static_assert(ROS2I_WIRE_SEGMENT_LEN == 8 + 8 + 4 + 4, "segment layout");
_Static_assert(ROS2I_WIRE_HEADER_LEN + IO_LEN + ROS2I_WIRE_SEGMENTS_MAX * ROS2I_WIRE_SEGMENT_LEN +
                       ROS2I_WIRE_CRCS_MAX * CRC_LEN + ROS2I_WIRE_INLINE_MAX <=
                   ROS2I_WIRE_MESSAGE_MAX,
               "no message is longer than the limit given to transports");

/* -- segments: u64 id, u64 offset, u32 length, u32 kind -- */

void ros2i_segments_decode(struct ros2i_segment *segment, unsigned count, const uint8_t *at)
{
    for (unsigned i = 0; i < count; i++, at += ROS2I_WIRE_SEGMENT_LEN) {
        segment[i].id = ros2i_get_u64(at);
        segment[i].offset = ros2i_get_u64(at + 8);
        segment[i].len = ros2i_get_u32(at + 16);
        segment[i].kind = ros2i_get_u32(at + 20);
    }
}

void ros2i_segments_encode(const struct ros2i_segment *segment, unsigned count, uint8_t *at)
{
    for (unsigned i = 0; i < count; i++, at += ROS2I_WIRE_SEGMENT_LEN) {
        ros2i_put_u64(at, segment[i].id);
        ros2i_put_u64(at + 8, segment[i].offset);
        ros2i_put_u32(at + 16, segment[i].len);
        ros2i_put_u32(at + 20, segment[i].kind);
    }
}

int ros2i_segments_check(const char *name, const struct ros2i_segment *segment, unsigned count,
                         uint32_t length, int err)
{
    uint64_t sum = 0; /* of at most 16 32-bit lengths */

    for (unsigned i = 0; i < count; i++, segment++) {
        if (segment->len == 0)
            return ros2i_fail(err, "%s message: segment %u has length 0", name, i);
        if (segment->offset > UINT64_MAX - segment->len)
            return ros2i_fail(err,
                              "%s message: segment %u, offset 0x%llx and length %u go past 2^64",
                              name, i, (unsigned long long)segment->offset, segment->len);
        if (segment->kind > ROS2I_SEGMENT_TOKEN)
            return ros2i_fail(err, "%s message: segment %u has unknown kind %u", name, i,
                              segment->kind);
        sum += segment->len;
    }
    if (count > 0 && sum != length)
        return ros2i_fail(err, "%s message: segments hold %llu bytes, length is %u", name,
                          (unsigned long long)sum, length);
    return 0;
}

/* -- READ, WRITE -- */

static const char *io_name(const struct ros2i_msg *msg)
{
    return msg->type == ROS2I_MSG_WRITE ? "WRITE" : "READ";
}

static int check_counts(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_io_request *io = &msg->u.io;

    if (io->segment_count > ROS2I_WIRE_SEGMENTS_MAX)
        return ros2i_fail(err, "%s message: %u segments, at most %u are allowed", io_name(msg),
                          io->segment_count, ROS2I_WIRE_SEGMENTS_MAX);
    if (io->crc_count > ROS2I_WIRE_CRCS_MAX)
        return ros2i_fail(err, "%s message: %u checksums, at most %u are allowed", io_name(msg),
                          io->crc_count, ROS2I_WIRE_CRCS_MAX);
    return 0;
}

static size_t size_io(const struct ros2i_msg *msg, size_t *payload_len_p)
{
    const struct ros2i_io_request *io = &msg->u.io;

    if (msg->type == ROS2I_MSG_WRITE && io->segment_count == 0)
        *payload_len_p = io->length;
    return IO_LEN + (size_t)io->segment_count * ROS2I_WIRE_SEGMENT_LEN +
           (size_t)io->crc_count * CRC_LEN;
}

static int decode_io(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    struct ros2i_io_request *io = &msg->u.io;
    size_t payload_len = 0;

    io->handle = ros2i_get_u64(body);
    io->offset = ros2i_get_u64(body + 8);
    io->length = ros2i_get_u32(body + 16);
    io->segment_count = ros2i_get_u16(body + 20);
    io->crc_count = ros2i_get_u16(body + 22);
    int rc = check_counts(msg, EPROTO);
    if (rc < 0)
        return rc;
    size_t size = size_io(msg, &payload_len);
    if (len < size)
        return ros2i_fail(EPROTO,
                          "%s message: body of %zu bytes ends within %u segments and %u checksums",
                          io_name(msg), len, io->segment_count, io->crc_count);

    const uint8_t *at = body + IO_LEN;
    ros2i_segments_decode(io->segment, io->segment_count, at);
    at += (size_t)io->segment_count * ROS2I_WIRE_SEGMENT_LEN;
    for (unsigned i = 0; i < io->crc_count; i++, at += CRC_LEN)
        io->crc[i] = ros2i_get_u32(at);
    io->payload = payload_len > 0 ? at : NULL;
    return 0;
}

static void encode_io(const struct ros2i_msg *msg, uint8_t *body)
{
    const struct ros2i_io_request *io = &msg->u.io;
    uint8_t *at = body + IO_LEN;

    ros2i_put_u64(body, io->handle);
    ros2i_put_u64(body + 8, io->offset);
    ros2i_put_u32(body + 16, io->length);
    ros2i_put_u16(body + 20, io->segment_count);
    ros2i_put_u16(body + 22, io->crc_count);
    ros2i_segments_encode(io->segment, io->segment_count, at);
    at += (size_t)io->segment_count * ROS2I_WIRE_SEGMENT_LEN;
    for (unsigned i = 0; i < io->crc_count; i++, at += CRC_LEN)
        ros2i_put_u32(at, io->crc[i]);
}

/* How many checksums a WRITE of length may carry: the block size is not known here, so its least value counts. */
static int check_crcs(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_io_request *io = &msg->u.io;
    uint32_t least = 0, most = 0;

    if (msg->type == ROS2I_MSG_WRITE && (msg->flags & ROS2I_MSG_CHECKSUM)) {
        least = 1;
        most = io->length > BLOCK_MIN ? (io->length - 1) / BLOCK_MIN + 1 : 1;
    }
    if (io->crc_count < least || io->crc_count > most)
        return ros2i_fail(
            err, "%s message: %u checksums for length %u and flags 0x%x, allowed are %u..%u",
            io_name(msg), io->crc_count, io->length, msg->flags, least, most);
    return 0;
}

static int check_io(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_io_request *io = &msg->u.io;
    int rc = check_counts(msg, err);

    if (rc < 0)
        return rc;
    if (io->length > ROS2I_WIRE_IO_MAX)
        return ros2i_fail(err, "%s message: length %u, at most %u are allowed", io_name(msg),
                          io->length, ROS2I_WIRE_IO_MAX);
    if (io->offset > (uint64_t)INT64_MAX - io->length)
        return ros2i_fail(err, "%s message: offset 0x%llx and length %u go past 2^63 - 1",
                          io_name(msg), (unsigned long long)io->offset, io->length);
    if (io->segment_count == 0 && io->length > ROS2I_WIRE_INLINE_MAX)
        return ros2i_fail(err, "%s message: length %u without segments, at most %u ride inline",
                          io_name(msg), io->length, ROS2I_WIRE_INLINE_MAX);
    rc = ros2i_segments_check(io_name(msg), io->segment, io->segment_count, io->length, err);
    if (rc < 0)
        return rc;
    return check_crcs(msg, err);
}

const struct ros2i_codec ros2i_codec_read = {
    .name = "READ",
    .flags = ROS2I_MSG_CHECKSUM | ROS2I_MSG_REPLAY,
    .id_rule = ROS2I_ID_NEEDED,
    .fixed = IO_LEN,
    .decode = decode_io,
    .check = check_io,
    .size = size_io,
    .encode = encode_io,
};

const struct ros2i_codec ros2i_codec_write = {
    .name = "WRITE",
    .flags = ROS2I_MSG_CHECKSUM | ROS2I_MSG_REPLAY,
    .id_rule = ROS2I_ID_NEEDED,
    .fixed = IO_LEN,
    .decode = decode_io,
    .check = check_io,
    .size = size_io,
    .encode = encode_io,
};

/* -- FSYNC: u64 handle. CANCEL: u64 request id of the target. PING, PONG: u64 opaque -- */

#define WORD_LEN 8

static int decode_fsync(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    (void)len;
    msg->u.handle = ros2i_get_u64(body);
    return 0;
}

static void encode_fsync(const struct ros2i_msg *msg, uint8_t *body)
{
    ros2i_put_u64(body, msg->u.handle);
}

const struct ros2i_codec ros2i_codec_fsync = {
    .name = "FSYNC",
    .flags = ROS2I_MSG_DATASYNC | ROS2I_MSG_REPLAY,
    .id_rule = ROS2I_ID_NEEDED,
    .fixed = WORD_LEN,
    .decode = decode_fsync,
    .encode = encode_fsync,
};

static int decode_cancel(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    (void)len;
    msg->u.target_id = ros2i_get_u64(body);
    return 0;
}

static void encode_cancel(const struct ros2i_msg *msg, uint8_t *body)
{
    ros2i_put_u64(body, msg->u.target_id);
}

static int check_cancel(const struct ros2i_msg *msg, int err)
{
    return msg->u.target_id != 0 ? 0 : ros2i_fail(err, "CANCEL message: target 0 is no request id");
}

const struct ros2i_codec ros2i_codec_cancel = {
    .name = "CANCEL",
    .fixed = WORD_LEN,
    .decode = decode_cancel,
    .check = check_cancel,
    .encode = encode_cancel,
};

static int decode_ping(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    (void)len;
    msg->u.opaque = ros2i_get_u64(body);
    return 0;
}

static void encode_ping(const struct ros2i_msg *msg, uint8_t *body)
{
    ros2i_put_u64(body, msg->u.opaque);
}

const struct ros2i_codec ros2i_codec_ping = {
    .name = "PING",
    .id_rule = ROS2I_ID_FREE,
    .fixed = WORD_LEN,
    .decode = decode_ping,
    .encode = encode_ping,
};

const struct ros2i_codec ros2i_codec_pong = {
    .name = "PONG",
    .id_rule = ROS2I_ID_FREE,
    .fixed = WORD_LEN,
    .decode = decode_ping,
    .encode = encode_ping,
};

/* -- REPLY: u32 status, u32 bytes, u64 offset, u64 durability epoch, u32 checksum, u32 engine ns, u32 queue ns, u32
 * payload length, payload -- */

#define REPLY_LEN (4 + 4 + 8 + 8 + 4 * 4)
#define ERRNO_MAX 4095u /* as in Linux */

_Static_assert(ROS2I_WIRE_REPLY_LEN == ROS2I_WIRE_HEADER_LEN + REPLY_LEN, "reply layout");

static int decode_reply(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    struct ros2i_reply *reply = &msg->u.reply;

    (void)len; /* that the payload is all there follows from size */
    reply->status = ros2i_get_u32(body);
    reply->bytes = ros2i_get_u32(body + 4);
    reply->offset = ros2i_get_u64(body + 8);
    reply->durability_epoch = ros2i_get_u64(body + 16);
    reply->crc = ros2i_get_u32(body + 24);
    reply->engine_ns = ros2i_get_u32(body + 28);
    reply->queue_ns = ros2i_get_u32(body + 32);
    reply->payload_len = ros2i_get_u32(body + 36);
    reply->payload = reply->payload_len > 0 ? body + REPLY_LEN : NULL;
    return 0;
}

static void encode_reply(const struct ros2i_msg *msg, uint8_t *body)
{
    const struct ros2i_reply *reply = &msg->u.reply;

    ros2i_put_u32(body, reply->status);
    ros2i_put_u32(body + 4, reply->bytes);
    ros2i_put_u64(body + 8, reply->offset);
    ros2i_put_u64(body + 16, reply->durability_epoch);
    ros2i_put_u32(body + 24, reply->crc);
    ros2i_put_u32(body + 28, reply->engine_ns);
    ros2i_put_u32(body + 32, reply->queue_ns);
    ros2i_put_u32(body + 36, reply->payload_len);
}

static int check_reply(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_reply *reply = &msg->u.reply;

    if (reply->status > ERRNO_MAX)
        return ros2i_fail(err, "REPLY message: status %u, allowed are 0..%u", reply->status,
                          ERRNO_MAX);
    if (reply->bytes > ROS2I_WIRE_IO_MAX)
        return ros2i_fail(err, "REPLY message: bytes %u, at most %u are allowed", reply->bytes,
                          ROS2I_WIRE_IO_MAX);
    if (reply->offset > (uint64_t)INT64_MAX - reply->bytes)
        return ros2i_fail(err, "REPLY message: offset 0x%llx and bytes %u go past 2^63 - 1",
                          (unsigned long long)reply->offset, reply->bytes);
    if (!(msg->flags & ROS2I_MSG_CHECKSUM) && reply->crc != 0)
        return ros2i_fail(err, "REPLY message: checksum 0x%08x without its flag", reply->crc);
    bool vector = msg->flags & ROS2I_MSG_VECTOR;
    if (vector && (reply->status != 0 || reply->payload_len < ROS2I_WIRE_RESULT_LEN))
        return ros2i_fail(err, "REPLY message: results of extents in a payload of %u, status %u",
                          reply->payload_len, reply->status);
    if (!vector && reply->payload_len != 0 &&
        (reply->payload_len != reply->bytes || reply->status != 0))
        return ros2i_fail(err, "REPLY message: payload of %u bytes with bytes %u and status %u",
                          reply->payload_len, reply->bytes, reply->status);
    if (reply->payload_len > ROS2I_WIRE_INLINE_MAX)
        return ros2i_fail(err, "REPLY message: payload of %u bytes, at most %u ride inline",
                          reply->payload_len, ROS2I_WIRE_INLINE_MAX);
    return 0;
}

static size_t size_reply(const struct ros2i_msg *msg, size_t *payload_len_p)
{
    *payload_len_p = msg->u.reply.payload_len;
    return REPLY_LEN;
}

const struct ros2i_codec ros2i_codec_reply = {
    .name = "REPLY",
    .flags = ROS2I_MSG_CHECKSUM | ROS2I_MSG_VECTOR,
    .id_rule = ROS2I_ID_NEEDED,
    .fixed = REPLY_LEN,
    .decode = decode_reply,
    .check = check_reply,
    .size = size_reply,
    .encode = encode_reply,
};
