/* SPDX-License-Identifier: Apache-2.0 */
/* HELLO, CHALLENGE, PROOF, WELCOME, REJECT: the bodies of the handshake's messages. Pure functions, any thread. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/protocol/bytes.h"
#include "lib/protocol/proof.h"
#include "lib/protocol/wire_parts.h"

#define OPTIONS_KNOWN ROS2I_OPTION_CHECKSUM
#define BLOCK_MIN     65536u
#define ERRNO_MAX     4095u /* as in Linux: pointers and results above are errors */

/* -- HELLO: u32 magic, u16 version_min, u16 version_max, u8[16] session id, u8[16] process nonce, u8[32] client nonce,
 * u64 epoch, u32 queue, u32 credits, u32 inline limit, u32 options -- */

#define HELLO_LEN (4 + 2 + 2 + 16 + 16 + 32 + 8 + 4 * 4)

static int decode_hello(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    struct ros2i_hello *hello = &msg->u.hello;

    (void)len;
    if (ros2i_get_u32(body) != ROS2I_WIRE_MAGIC)
        return ros2i_fail(EPROTO, "HELLO message: magic 0x%08x is not that of this protocol",
                          ros2i_get_u32(body));
    hello->version_min = ros2i_get_u16(body + 4);
    hello->version_max = ros2i_get_u16(body + 6);
    memcpy(hello->session_id, body + 8, 16);
    memcpy(hello->process_nonce, body + 24, 16);
    memcpy(hello->client_nonce, body + 40, 32);
    hello->epoch = ros2i_get_u64(body + 72);
    hello->queue = ros2i_get_u32(body + 80);
    hello->credits = ros2i_get_u32(body + 84);
    hello->inline_limit = ros2i_get_u32(body + 88);
    hello->options = ros2i_get_u32(body + 92);
    return 0;
}

static void encode_hello(const struct ros2i_msg *msg, uint8_t *body)
{
    const struct ros2i_hello *hello = &msg->u.hello;

    ros2i_put_u32(body, ROS2I_WIRE_MAGIC);
    ros2i_put_u16(body + 4, hello->version_min);
    ros2i_put_u16(body + 6, hello->version_max);
    memcpy(body + 8, hello->session_id, 16);
    memcpy(body + 24, hello->process_nonce, 16);
    memcpy(body + 40, hello->client_nonce, 32);
    ros2i_put_u64(body + 72, hello->epoch);
    ros2i_put_u32(body + 80, hello->queue);
    ros2i_put_u32(body + 84, hello->credits);
    ros2i_put_u32(body + 88, hello->inline_limit);
    ros2i_put_u32(body + 92, hello->options);
}

static int check_limits(const char *name, uint32_t credits, uint32_t inline_limit, int err)
{
    if (credits == 0 || credits > ROS2I_WIRE_CREDITS_MAX)
        return ros2i_fail(err, "%s message: credits %u, allowed are 1..%u", name, credits,
                          ROS2I_WIRE_CREDITS_MAX);
    if (inline_limit > ROS2I_WIRE_INLINE_MAX)
        return ros2i_fail(err, "%s message: inline limit %u, allowed are 0..%u", name, inline_limit,
                          ROS2I_WIRE_INLINE_MAX);
    return 0;
}

static int check_hello(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_hello *hello = &msg->u.hello;

    if (hello->version_min == 0 || hello->version_min > hello->version_max)
        return ros2i_fail(err, "HELLO message: versions %u..%u are no range", hello->version_min,
                          hello->version_max);
    if (hello->epoch == 0)
        return ros2i_fail(err, "HELLO message: epoch 0, the first is 1");
    /* A newer client may wish for what only its newer version has; the daemon's CHALLENGE leaves it out. */
    if (hello->version_max <= ROS2I_WIRE_VERSION && (hello->options & ~(uint32_t)OPTIONS_KNOWN))
        return ros2i_fail(err, "HELLO message: options 0x%x, version %u knows 0x%x", hello->options,
                          ROS2I_WIRE_VERSION, OPTIONS_KNOWN);
    return check_limits("HELLO", hello->credits, hello->inline_limit, err);
}

const struct ros2i_codec ros2i_codec_hello = {
    .name = "HELLO",
    .fixed = HELLO_LEN,
    .decode = decode_hello,
    .check = check_hello,
    .encode = encode_hello,
};

/* -- CHALLENGE: u16 version, u16 zero, u32 credits, u32 inline limit, u32 max_io, u32 options, u32 checksum block,
 * u8[32] server nonce -- */

#define CHALLENGE_LEN (2 + 2 + 5 * 4 + 32)

static int decode_challenge(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    struct ros2i_challenge *challenge = &msg->u.challenge;

    (void)len;
    if (ros2i_get_u16(body + 2) != 0)
        return ros2i_fail(EPROTO, "CHALLENGE message: reserved bytes 0x%04x, must be 0",
                          ros2i_get_u16(body + 2));
    challenge->version = ros2i_get_u16(body);
    challenge->credits = ros2i_get_u32(body + 4);
    challenge->inline_limit = ros2i_get_u32(body + 8);
    challenge->max_io = ros2i_get_u32(body + 12);
    challenge->options = ros2i_get_u32(body + 16);
    challenge->checksum_block = ros2i_get_u32(body + 20);
    memcpy(challenge->server_nonce, body + 24, 32);
    return 0;
}

static void encode_challenge(const struct ros2i_msg *msg, uint8_t *body)
{
    const struct ros2i_challenge *challenge = &msg->u.challenge;

    ros2i_put_u16(body, challenge->version);
    ros2i_put_u16(body + 2, 0);
    ros2i_put_u32(body + 4, challenge->credits);
    ros2i_put_u32(body + 8, challenge->inline_limit);
    ros2i_put_u32(body + 12, challenge->max_io);
    ros2i_put_u32(body + 16, challenge->options);
    ros2i_put_u32(body + 20, challenge->checksum_block);
    memcpy(body + 24, challenge->server_nonce, 32);
}

static int check_block(uint32_t block, uint32_t max_io, int err)
{
    if (block < BLOCK_MIN || block > ROS2I_WIRE_IO_MAX || (block & (block - 1)) != 0)
        return ros2i_fail(
            err, "CHALLENGE message: checksum block %u, allowed are powers of two in %u..%u", block,
            BLOCK_MIN, ROS2I_WIRE_IO_MAX);
    if ((max_io + block - 1) / block >
        ROS2I_WIRE_CRCS_MAX) /* both are at most 16 MiB: no overflow */
        return ros2i_fail(
            err, "CHALLENGE message: checksum block %u makes over %u checksums of max_io %u", block,
            ROS2I_WIRE_CRCS_MAX, max_io);
    return 0;
}

static int check_challenge(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_challenge *challenge = &msg->u.challenge;

    if (challenge->version != ROS2I_WIRE_VERSION)
        return ros2i_fail(err, "CHALLENGE message: version %u, spoken here is %u",
                          challenge->version, ROS2I_WIRE_VERSION);
    if (challenge->max_io == 0 || challenge->max_io > ROS2I_WIRE_IO_MAX)
        return ros2i_fail(err, "CHALLENGE message: max_io %u, allowed are 1..%u", challenge->max_io,
                          ROS2I_WIRE_IO_MAX);
    if (challenge->options & ~(uint32_t)OPTIONS_KNOWN)
        return ros2i_fail(err, "CHALLENGE message: options 0x%x, known are 0x%x",
                          challenge->options, OPTIONS_KNOWN);
    int rc = check_block(challenge->checksum_block, challenge->max_io, err);
    if (rc < 0)
        return rc;
    return check_limits("CHALLENGE", challenge->credits, challenge->inline_limit, err);
}

const struct ros2i_codec ros2i_codec_challenge = {
    .name = "CHALLENGE",
    .fixed = CHALLENGE_LEN,
    .decode = decode_challenge,
    .check = check_challenge,
    .encode = encode_challenge,
};

/* -- PROOF, WELCOME: u8[32] proof -- */

static int decode_proof(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    (void)len;
    memcpy(msg->u.proof, body, ROS2I_PROOF_LEN);
    return 0;
}

static void encode_proof(const struct ros2i_msg *msg, uint8_t *body)
{
    memcpy(body, msg->u.proof, ROS2I_PROOF_LEN);
}

const struct ros2i_codec ros2i_codec_proof = {
    .name = "PROOF",
    .fixed = ROS2I_PROOF_LEN,
    .decode = decode_proof,
    .encode = encode_proof,
};

const struct ros2i_codec ros2i_codec_welcome = {
    .name = "WELCOME",
    .fixed = ROS2I_PROOF_LEN,
    .decode = decode_proof,
    .encode = encode_proof,
};

/* -- REJECT: u32 err, u16 text length, u16 zero, text (not trusted: escape it before showing it) -- */

#define REJECT_LEN (4 + 2 + 2)

static int decode_reject(struct ros2i_msg *msg, const uint8_t *body, size_t len)
{
    struct ros2i_reject *reject = &msg->u.reject;

    (void)len; /* that the text is all there follows from size */
    if (ros2i_get_u16(body + 6) != 0)
        return ros2i_fail(EPROTO, "REJECT message: reserved bytes 0x%04x, must be 0",
                          ros2i_get_u16(body + 6));
    reject->err = ros2i_get_u32(body);
    reject->text_len = ros2i_get_u16(body + 4);
    reject->text = reject->text_len > 0 ? (const char *)body + REJECT_LEN : NULL;
    return 0;
}

static void encode_reject(const struct ros2i_msg *msg, uint8_t *body)
{
    const struct ros2i_reject *reject = &msg->u.reject;

    ros2i_put_u32(body, reject->err);
    ros2i_put_u16(body + 4, (uint16_t)reject->text_len);
    ros2i_put_u16(body + 6, 0);
    if (reject->text_len > 0)
        memcpy(body + REJECT_LEN, reject->text, reject->text_len);
}

static int check_reject(const struct ros2i_msg *msg, int err)
{
    const struct ros2i_reject *reject = &msg->u.reject;

    if (reject->err == 0 || reject->err > ERRNO_MAX)
        return ros2i_fail(err, "REJECT message: error %u, allowed are 1..%u", reject->err,
                          ERRNO_MAX);
    if (reject->text_len > ROS2I_WIRE_TEXT_MAX)
        return ros2i_fail(err, "REJECT message: text of %zu bytes, at most %u are allowed",
                          reject->text_len, ROS2I_WIRE_TEXT_MAX);
    return 0;
}

static size_t size_reject(const struct ros2i_msg *msg, size_t *payload_len_p)
{
    (void)payload_len_p;
    return REJECT_LEN + msg->u.reject.text_len;
}

const struct ros2i_codec ros2i_codec_reject = {
    .name = "REJECT",
    .fixed = REJECT_LEN,
    .decode = decode_reject,
    .check = check_reject,
    .size = size_reject,
    .encode = encode_reject,
};
