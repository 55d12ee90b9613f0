/* SPDX-License-Identifier: Apache-2.0 */
/* Pure but for randomness and libcrypto. A session that does not exist is played out with a random secret, so that it looks
 * like one whose secret was not proved. */
#include "config.h"

#include "daemon/data/handshake.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void settle(const struct ros2d_config *config, const struct ros2i_hello *hello,
                   struct ros2d_negotiated *n)
{
    n->credits = min_u32(hello->credits, config->data.credits);
    n->inline_limit = min_u32(hello->inline_limit, config->data.inline_limit);
    n->max_io = config->data.max_io;
    n->options = config->data.checksum ? hello->options & ROS2I_OPTION_CHECKSUM : 0;
    n->checksum_block = config->data.chunk;
}

int ros2d_handshake_challenge(struct ros2d_handshake *hs, const struct ros2d_config *config,
                              const void *raw, size_t len, const struct ros2i_hello *hello,
                              struct ros2d_negotiated *negotiated_p)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_CHALLENGE};
    struct ros2i_challenge *challenge = &msg.u.challenge;
    struct ros2d_negotiated n;
    int rc;

    if (hello->version_min > ROS2I_WIRE_VERSION || hello->version_max < ROS2I_WIRE_VERSION)
        return ros2i_fail(EPROTONOSUPPORT,
                          "the client speaks data-plane versions %u..%u, the daemon %u",
                          hello->version_min, hello->version_max, ROS2I_WIRE_VERSION);
    if (len > sizeof(hs->hello))
        return ros2i_fail(EPROTO, "HELLO message: %zu bytes", len);
    memcpy(hs->hello, raw, len);
    hs->hello_len = len;
    settle(config, hello, &n);
    challenge->version = ROS2I_WIRE_VERSION;
    challenge->credits = n.credits;
    challenge->inline_limit = n.inline_limit;
    challenge->max_io = n.max_io;
    challenge->options = n.options;
    challenge->checksum_block = n.checksum_block;
    rc = ros2i_random(challenge->server_nonce, sizeof(challenge->server_nonce));
    if (rc < 0)
        return rc;
    rc = ros2i_wire_encode(&msg, hs->challenge, sizeof(hs->challenge));
    if (rc < 0)
        return rc;
    hs->challenge_len = (size_t)rc;
    *negotiated_p = n;
    return 0;
}

static int prove(const struct ros2d_handshake *hs, enum ros2i_proof_role role,
                 uint8_t proof[ROS2I_PROOF_LEN])
{
    return ros2i_proof(hs->secret, role, hs->hello, hs->hello_len, hs->challenge, hs->challenge_len,
                       proof);
}

int ros2d_handshake_check(const struct ros2d_handshake *hs, const uint8_t proof[ROS2I_PROOF_LEN])
{
    uint8_t expected[ROS2I_PROOF_LEN];
    bool equal = prove(hs, ROS2I_PROOF_CLIENT, expected) == 0 &&
                 ros2i_secret_equal(expected, proof, sizeof(expected));

    ros2i_wipe(expected, sizeof(expected));
    return equal ? 0
                 : ros2i_fail(EACCES,
                              "the session is unknown or ended, or its secret was not proved");
}

int ros2d_handshake_welcome(const struct ros2d_handshake *hs, void *buf, size_t len)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_WELCOME};
    int rc = prove(hs, ROS2I_PROOF_SERVER, msg.u.proof);

    return rc < 0 ? rc : ros2i_wire_encode(&msg, buf, len);
}

int ros2d_handshake_reject(int err, const char *text, void *buf, size_t len)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_REJECT};

    msg.u.reject.err = (uint32_t)err;
    msg.u.reject.text = text;
    msg.u.reject.text_len = strnlen(text, ROS2I_WIRE_TEXT_MAX);
    return ros2i_wire_encode(&msg, buf, len);
}

void ros2d_handshake_wipe(struct ros2d_handshake *hs)
{
    ros2i_wipe(hs->secret, sizeof(hs->secret));
}
