/* SPDX-License-Identifier: Apache-2.0 */
/* Mutual proof of the session secret: HMAC-SHA256 (RFC 2104, FIPS 180-4) over the whole HELLO and CHALLENGE messages,
 * so that both nonces and every negotiated value are bound. */
#ifndef ROS2I_PROOF_H
#define ROS2I_PROOF_H

#include <stddef.h>
#include <stdint.h>

#define ROS2I_SECRET_LEN 32
#define ROS2I_PROOF_LEN  32

enum ros2i_proof_role { ROS2I_PROOF_CLIENT, ROS2I_PROOF_SERVER };

/* HMAC(secret, label(role) || u32 hello_len || hello || u32 challenge_len || challenge). 0 or -EIO (libcrypto). */
int ros2i_proof(const uint8_t secret[ROS2I_SECRET_LEN], enum ros2i_proof_role role,
                const void *hello, size_t hello_len, const void *challenge, size_t challenge_len,
                uint8_t proof[ROS2I_PROOF_LEN]);

#endif
