/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of HELLO, CHALLENGE, PROOF, WELCOME: builds what is sent, judges what comes. No I/O. */
#ifndef ROS2I_HANDSHAKE_H
#define ROS2I_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/protocol/session.h"
#include "lib/protocol/wire.h"

#define ROS2I_HANDSHAKE_MESSAGE_MAX 256

/* Who a channel is. Fixed but for epoch, which grows with each connection. */
struct ros2i_identity {
    const struct ros2i_session *session; /* borrowed */
    uint8_t nonce[ROS2I_NONCE_LEN];      /* of the process */
    uint32_t queue;
    uint64_t epoch;
};

/* What both ends have agreed on; every value is within the bounds of wire.h. */
struct ros2i_negotiated {
    uint32_t credits;        /* requests in flight */
    uint32_t inline_limit;   /* bytes */
    uint32_t max_io;         /* bytes of one request, at least 1 */
    uint32_t checksum_block; /* bytes per CRC of a WRITE */
    uint32_t options;        /* enum ros2i_option */
};

struct ros2i_handshake {
    struct ros2i_negotiated
        wanted; /* sent with HELLO; max_io and checksum_block are the daemon's to say */
    uint8_t hello[ROS2I_HANDSHAKE_MESSAGE_MAX];
    size_t hello_len;
    uint8_t challenge[ROS2I_HANDSHAKE_MESSAGE_MAX];
    size_t challenge_len;
};

/* checksum: as in ros2_connect_options. Fills hs->hello, to be sent. 0 or -EIO (no randomness), -EPROTO. */
int ros2i_handshake_hello(struct ros2i_handshake *hs, const struct ros2i_identity *who,
                          int checksum);
/* raw: the CHALLENGE as it came, already decoded into challenge. Writes the PROOF message to buf and returns its length;
 * *negotiated_p is set then. -EPROTO (a value out of bounds), -EPROTONOSUPPORT (version, checksum insisted on), -EIO. */
int ros2i_handshake_proof(struct ros2i_handshake *hs, const struct ros2i_identity *who,
                          const void *raw, size_t raw_len, const struct ros2i_challenge *challenge,
                          int checksum, void *buf, size_t len,
                          struct ros2i_negotiated *negotiated_p);
/* The daemon's own proof. 0, or -EACCES: it does not know the session's secret. */
int ros2i_handshake_welcome(const struct ros2i_handshake *hs, const struct ros2i_identity *who,
                            const uint8_t proof[ROS2I_PROOF_LEN]);

#endif
