/* SPDX-License-Identifier: Apache-2.0 */
/* The header of every message, and which codec has the body. Pure functions, any thread; decoding copies out all but
 * payload, text, and the arrays of READV and CLOSE, so what was judged is what is used even when the sender could still
 * write to buf; who uses such an array has to do without what was judged of it. */
#include "config.h"

#include "lib/protocol/wire.h"

#include <errno.h>

#include "lib/base/error.h"
#include "lib/protocol/bytes.h"
#include "lib/protocol/wire_parts.h"

/* Header: u8 version, u8 type, u16 flags, u32 length (header and all that follows), u64 request id. */

static const struct ros2i_codec *const codecs[ROS2I_WIRE_TYPES] = {
    [ROS2I_MSG_HELLO] = &ros2i_codec_hello,   [ROS2I_MSG_CHALLENGE] = &ros2i_codec_challenge,
    [ROS2I_MSG_PROOF] = &ros2i_codec_proof,   [ROS2I_MSG_WELCOME] = &ros2i_codec_welcome,
    [ROS2I_MSG_REJECT] = &ros2i_codec_reject, [ROS2I_MSG_READ] = &ros2i_codec_read,
    [ROS2I_MSG_WRITE] = &ros2i_codec_write,   [ROS2I_MSG_FSYNC] = &ros2i_codec_fsync,
    [ROS2I_MSG_CANCEL] = &ros2i_codec_cancel, [ROS2I_MSG_PING] = &ros2i_codec_ping,
    [ROS2I_MSG_READV] = &ros2i_codec_readv,   [ROS2I_MSG_CLOSE] = &ros2i_codec_close,
    [ROS2I_MSG_REPLY] = &ros2i_codec_reply,   [ROS2I_MSG_PONG] = &ros2i_codec_pong,
};

_Static_assert(ROS2I_WIRE_HEADER_LEN == 1 + 1 + 2 + 4 + 8, "header layout");
_Static_assert(ROS2I_WIRE_TYPES == ROS2I_MSG_PONG + 1, "the table covers every type");
_Static_assert(ROS2I_WIRE_MAGIC == ('R' | 'O' << 8 | 'S' << 16 | '2' << 24),
               "reads ROS2 on the wire");

static const struct ros2i_codec *find_codec(uint8_t type, int err, int *rc_p)
{
    const struct ros2i_codec *codec = type < ROS2I_WIRE_TYPES ? codecs[type] : NULL;

    if (!codec)
        *rc_p = ros2i_fail(err, "message: type %u is unknown", type);
    return codec;
}

/* What holds of the header's fields at both ends. */
static int check_header(const struct ros2i_codec *codec, const struct ros2i_msg *msg, int err)
{
    if (msg->flags & ~codec->flags)
        return ros2i_fail(err, "%s message: flags 0x%04x, known are 0x%04x", codec->name,
                          msg->flags, codec->flags);
    if (codec->id_rule == ROS2I_ID_NEEDED && msg->request_id == 0)
        return ros2i_fail(err, "%s message: request id 0 where one is needed", codec->name);
    if (codec->id_rule == ROS2I_ID_ZERO && msg->request_id != 0)
        return ros2i_fail(err, "%s message: request id 0x%llx where it must be 0", codec->name,
                          (unsigned long long)msg->request_id);
    return 0;
}

static int check_fields(const struct ros2i_codec *codec, const struct ros2i_msg *msg, int err)
{
    return codec->check ? codec->check(msg, err) : 0;
}

static size_t body_size(const struct ros2i_codec *codec, const struct ros2i_msg *msg,
                        size_t *payload_len_p)
{
    *payload_len_p = 0;
    return codec->size ? codec->size(msg, payload_len_p) : codec->fixed;
}

static int decode_header(const uint8_t *buf, size_t len, struct ros2i_msg *msg)
{
    if (len < ROS2I_WIRE_HEADER_LEN)
        return ros2i_fail(EPROTO, "message: %zu bytes, a header has %u", len,
                          ROS2I_WIRE_HEADER_LEN);
    if (buf[0] != ROS2I_WIRE_VERSION)
        return ros2i_fail(EPROTO, "message: version %u, spoken here is %u", buf[0],
                          ROS2I_WIRE_VERSION);
    if (len > ROS2I_WIRE_MESSAGE_MAX || ros2i_get_u32(buf + 4) != len)
        return ros2i_fail(EPROTO, "message: length %u in the header of %zu bytes (at most %u)",
                          ros2i_get_u32(buf + 4), len, ROS2I_WIRE_MESSAGE_MAX);
    msg->type = buf[1];
    msg->flags = ros2i_get_u16(buf + 2);
    msg->request_id = ros2i_get_u64(buf + 8);
    return 0;
}

static int decode_body(const struct ros2i_codec *codec, const uint8_t *body, size_t len,
                       struct ros2i_msg *msg)
{
    size_t payload_len;
    int rc;

    if (len < codec->fixed)
        return ros2i_fail(EPROTO, "%s message: body of %zu bytes, at least %u are needed",
                          codec->name, len, codec->fixed);
    rc = codec->decode(msg, body, len);
    if (rc < 0)
        return rc;
    rc = check_fields(codec, msg, EPROTO);
    if (rc < 0)
        return rc;
    size_t size = body_size(codec, msg, &payload_len);
    if (size + payload_len != len)
        return ros2i_fail(EPROTO, "%s message: body of %zu bytes, its fields say %zu", codec->name,
                          len, size + payload_len);
    return 0;
}

int ros2i_wire_decode(const void *buf, size_t len, struct ros2i_msg *msg)
{
    const uint8_t *at = buf;
    int rc = decode_header(at, len, msg);

    if (rc < 0)
        return rc;
    const struct ros2i_codec *codec = find_codec(msg->type, EPROTO, &rc);
    if (!codec)
        return rc;
    rc = check_header(codec, msg, EPROTO);
    if (rc < 0)
        return rc;
    return decode_body(codec, at + ROS2I_WIRE_HEADER_LEN, len - ROS2I_WIRE_HEADER_LEN, msg);
}

int ros2i_wire_encode(const struct ros2i_msg *msg, void *buf, size_t len)
{
    uint8_t *at = buf;
    size_t payload_len;
    int rc = 0;

    const struct ros2i_codec *codec = find_codec(msg->type, EINVAL, &rc);
    if (!codec)
        return rc;
    rc = check_header(codec, msg, EINVAL);
    if (rc < 0)
        return rc;
    rc = check_fields(codec, msg, EINVAL);
    if (rc < 0)
        return rc;
    size_t size = ROS2I_WIRE_HEADER_LEN + body_size(codec, msg, &payload_len);
    if (size > len)
        return ros2i_fail(ENOSPC, "%s message: %zu bytes do not fit into %zu", codec->name, size,
                          len);
    at[0] = ROS2I_WIRE_VERSION;
    at[1] = msg->type;
    ros2i_put_u16(at + 2, msg->flags);
    ros2i_put_u32(at + 4, (uint32_t)(size + payload_len));
    ros2i_put_u64(at + 8, msg->request_id);
    codec->encode(msg, at + ROS2I_WIRE_HEADER_LEN);
    return (int)size;
}
