/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake's messages at the daemon's end: what is settled, and who has proved what. No I/O, no state machine. */
#ifndef ROS2D_HANDSHAKE_H
#define ROS2D_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"
#include "lib/protocol/proof.h"
#include "lib/protocol/wire.h"

#define ROS2D_HANDSHAKE_MESSAGE_MAX 128
#define ROS2D_REJECT_MAX            (ROS2I_WIRE_HEADER_LEN + 8 + ROS2I_WIRE_TEXT_MAX)

struct ros2d_negotiated {
    uint32_t credits, inline_limit, max_io, options, checksum_block;
};

struct ros2d_handshake {
    uint8_t hello[ROS2D_HANDSHAKE_MESSAGE_MAX],
        challenge[ROS2D_HANDSHAKE_MESSAGE_MAX]; /* as on the wire */
    size_t hello_len, challenge_len;
    uint8_t secret[ROS2I_SECRET_LEN]; /* the session's, or random where there is none; wiped */
};

/* Remembers the raw HELLO, settles the values, writes CHALLENGE into hs->challenge. 0, or -EPROTONOSUPPORT, -EIO. */
int ros2d_handshake_challenge(struct ros2d_handshake *hs, const struct ros2d_config *config,
                              const void *raw, size_t len, const struct ros2i_hello *hello,
                              struct ros2d_negotiated *negotiated_p);
/* 0, or -EACCES. */
int ros2d_handshake_check(const struct ros2d_handshake *hs, const uint8_t proof[ROS2I_PROOF_LEN]);
/* Length of the WELCOME in buf, or -EIO. */
int ros2d_handshake_welcome(const struct ros2d_handshake *hs, void *buf, size_t len);
/* Length of the REJECT in buf; text longer than the protocol's limit is cut. */
int ros2d_handshake_reject(int err, const char *text, void *buf, size_t len);
void ros2d_handshake_wipe(struct ros2d_handshake *hs);

#endif
