/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends prove the session secret over the very bytes of HELLO and CHALLENGE. The labels keep the two directions
 * apart: a proof sent back by the other side is never a proof of that side. Any thread. */
#include "config.h"

#include "lib/protocol/proof.h"

#include <errno.h>

#include "lib/base/error.h"
#include "lib/protocol/bytes.h"
#include "lib/protocol/hmac.h"

#define LABEL_LEN 20

_Static_assert(ROS2I_PROOF_LEN == ROS2I_HMAC_LEN, "a proof is one HMAC-SHA256");

/* iovec has no const; the parts are only read. */
static struct iovec part(const void *buf, size_t len)
{
    union {
        const void *in;
        void *base;
    } p = {.in = buf};

    return (struct iovec){.iov_base = p.base, .iov_len = len};
}

int ros2i_proof(const uint8_t secret[ROS2I_SECRET_LEN], enum ros2i_proof_role role,
                const void *hello, size_t hello_len, const void *challenge, size_t challenge_len,
                uint8_t proof[ROS2I_PROOF_LEN])
{
    static const char label[][LABEL_LEN + 1] = {
        [ROS2I_PROOF_CLIENT] = "ROS2 v1 proof client",
        [ROS2I_PROOF_SERVER] = "ROS2 v1 proof server",
    };
    uint8_t hello_prefix[4], challenge_prefix[4];

    if (hello_len > UINT32_MAX || challenge_len > UINT32_MAX)
        return ros2i_fail(EIO, "proof: a handshake message of %zu bytes is none",
                          hello_len > challenge_len ? hello_len : challenge_len);
    ros2i_put_u32(hello_prefix, (uint32_t)hello_len);
    ros2i_put_u32(challenge_prefix, (uint32_t)challenge_len);

    const struct iovec parts[] = {
        part(label[role], LABEL_LEN), part(hello_prefix, 4),          part(hello, hello_len),
        part(challenge_prefix, 4),    part(challenge, challenge_len),
    };
    return ros2i_hmac_sha256(secret, ROS2I_SECRET_LEN, parts, 5, proof);
}
