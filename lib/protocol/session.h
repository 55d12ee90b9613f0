/* SPDX-License-Identifier: Apache-2.0 */
/* What control and data plane of the library share about a session. */
#ifndef ROS2I_SESSION_H
#define ROS2I_SESSION_H

#include <stdint.h>

#include "lib/protocol/proof.h"

#define ROS2I_SESSION_ID_LEN     16
#define ROS2I_NONCE_LEN          16
#define ROS2I_ENDPOINTS_MAX      32
#define ROS2I_TRANSPORT_NAME_MAX 32

struct ros2i_endpoint {
    char transport[ROS2I_TRANSPORT_NAME_MAX]; /* "tcp" */
    /* "HOST:PORT", numeric; ":PORT": the host that the control plane was reached at; "/PATH": a socket of the daemon's machine */
    char address[128];
};

struct ros2i_session {
    uint8_t id[ROS2I_SESSION_ID_LEN];
    uint8_t secret[ROS2I_SECRET_LEN]; /* wiped with the client */
    char tenant[64];
    struct ros2i_endpoint
        endpoint[ROS2I_ENDPOINTS_MAX]; /* by preference; equal transports: one per data thread */
    uint32_t endpoint_count;
    uint32_t inline_limit, max_io, credits,
        options;          /* the daemon's offer; HELLO/CHALLENGE settle it */
    uint64_t lifetime_ns; /* without a live channel or control call */
};

#endif
