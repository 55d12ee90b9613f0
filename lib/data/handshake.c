/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake's messages and checks. Values of the daemon are untrusted until they have passed check_bounds(); it is
 * trusted to be the session's daemon only once its proof has been compared. */
#include "config.h"

#include "lib/data/handshake.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int ros2i_handshake_hello(struct ros2i_handshake *hs, const struct ros2i_identity *who,
                          int checksum)
{
    const struct ros2i_session *session = who->session;
    bool want_checksum =
        checksum > 0 || (checksum == 0 && (session->options & ROS2I_OPTION_CHECKSUM));
    hs->wanted = (struct ros2i_negotiated){
        .credits = session->credits == 0 ? 1 : min_u32(session->credits, ROS2I_WIRE_CREDITS_MAX),
        .inline_limit = min_u32(session->inline_limit, ROS2I_WIRE_INLINE_MAX),
        .options = want_checksum ? ROS2I_OPTION_CHECKSUM : 0,
    };
    struct ros2i_msg msg = {.type = ROS2I_MSG_HELLO};
    struct ros2i_hello *hello = &msg.u.hello;
    hello->version_min = hello->version_max = ROS2I_WIRE_VERSION;
    memcpy(hello->session_id, session->id, sizeof(hello->session_id));
    memcpy(hello->process_nonce, who->nonce, sizeof(hello->process_nonce));
    hello->epoch = who->epoch;
    hello->queue = who->queue;
    hello->credits = hs->wanted.credits;
    hello->inline_limit = hs->wanted.inline_limit;
    hello->options = hs->wanted.options;
    int rc = ros2i_random(hello->client_nonce, sizeof(hello->client_nonce));
    if (rc < 0)
        return rc;
    rc = ros2i_wire_encode(&msg, hs->hello, sizeof(hs->hello));
    if (rc < 0)
        return rc;
    hs->hello_len = (size_t)rc;
    return 0;
}

static int check_bounds(const struct ros2i_negotiated *wanted, const struct ros2i_challenge *c)
{
    if (c->version != ROS2I_WIRE_VERSION)
        return ros2i_fail(EPROTONOSUPPORT,
                          "the daemon speaks data-plane version %u, this library %u", c->version,
                          ROS2I_WIRE_VERSION);
    if (c->credits < 1 || c->credits > wanted->credits)
        return ros2i_fail(EPROTO, "the daemon's challenge: credits %u, not in 1..%u", c->credits,
                          wanted->credits);
    if (c->inline_limit > wanted->inline_limit)
        return ros2i_fail(EPROTO, "the daemon's challenge: inline limit %u is above %u",
                          c->inline_limit, wanted->inline_limit);
    if (c->max_io < 1 || c->max_io > ROS2I_WIRE_IO_MAX)
        return ros2i_fail(EPROTO, "the daemon's challenge: largest request %u, not in 1..%u",
                          c->max_io, ROS2I_WIRE_IO_MAX);
    if (c->checksum_block < 65536 || (c->checksum_block & (c->checksum_block - 1)) != 0 ||
        (c->max_io - 1) / c->checksum_block >= ROS2I_WIRE_CRCS_MAX)
        return ros2i_fail(
            EPROTO,
            "the daemon's challenge: checksum block %u does not fit a largest request of %u",
            c->checksum_block, c->max_io);
    if (c->options & ~(uint32_t)ROS2I_OPTION_CHECKSUM)
        return ros2i_fail(EPROTO, "the daemon's challenge: unknown options 0x%x", c->options);
    return 0;
}

int ros2i_handshake_proof(struct ros2i_handshake *hs, const struct ros2i_identity *who,
                          const void *raw, size_t raw_len, const struct ros2i_challenge *challenge,
                          int checksum, void *buf, size_t len,
                          struct ros2i_negotiated *negotiated_p)
{
    int rc = check_bounds(&hs->wanted, challenge);
    if (rc < 0)
        return rc;
    if (checksum > 0 && !(challenge->options & ROS2I_OPTION_CHECKSUM))
        return ros2i_fail(EPROTONOSUPPORT,
                          "the daemon refuses checksums, which the connect options insist on");
    if (raw_len > sizeof(hs->challenge))
        return ros2i_fail(EPROTO, "the daemon's challenge has %zu bytes, more than %zu", raw_len,
                          sizeof(hs->challenge));
    memcpy(hs->challenge, raw, raw_len);
    hs->challenge_len = raw_len;

    struct ros2i_msg msg = {.type = ROS2I_MSG_PROOF};
    rc = ros2i_proof(who->session->secret, ROS2I_PROOF_CLIENT, hs->hello, hs->hello_len,
                     hs->challenge, hs->challenge_len, msg.u.proof);
    if (rc == 0)
        rc = ros2i_wire_encode(&msg, buf, len);
    if (rc < 0)
        return rc;
    *negotiated_p = (struct ros2i_negotiated){
        .credits = challenge->credits,
        .inline_limit = challenge->inline_limit,
        .max_io = challenge->max_io,
        .checksum_block = challenge->checksum_block,
        .options = challenge->options,
    };
    return rc;
}

int ros2i_handshake_welcome(const struct ros2i_handshake *hs, const struct ros2i_identity *who,
                            const uint8_t proof[ROS2I_PROOF_LEN])
{
    uint8_t expected[ROS2I_PROOF_LEN];
    int rc = ros2i_proof(who->session->secret, ROS2I_PROOF_SERVER, hs->hello, hs->hello_len,
                         hs->challenge, hs->challenge_len, expected);
    if (rc == 0 && !ros2i_secret_equal(expected, proof, sizeof(expected)))
        rc = ros2i_fail(EACCES, "the data plane's peer does not prove the session's secret: it is "
                                "not the daemon of this session");
    ros2i_wipe(expected, sizeof(expected));
    return rc;
}
