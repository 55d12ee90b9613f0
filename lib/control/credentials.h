/* SPDX-License-Identifier: Apache-2.0 */
/* A control: whom to call and with which credentials, and the session that it opened. */
#ifndef ROS2I_CREDENTIALS_H
#define ROS2I_CREDENTIALS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/control/control.h"
#include "lib/control/runtime.h"

struct ros2i_control {
    struct ros2i_grpc_client grpc;
    /* Fixed after create: */
    char *target;          /* as gRPC wants it: "ipv4:127.0.0.1:7720", "dns:///host:7720" */
    char *peer;            /* as people read it: "host:7720" */
    char *server_name;     /* NULL: the host */
    char *client_name;     /* NULL: the program's name */
    char *ca, *cert, *key; /* PEM; NULL: none. key is wiped at the end */
    char *authorization;   /* "Bearer TOKEN"; NULL: none. Wiped at the end */
    bool plaintext;
    /* Guarded by the runtime's lock: */
    bool has_session;
    uint8_t session_id[ROS2I_SESSION_ID_LEN];
    bool has_nonce; /* request_nonce is this process's; not so in a new child */
    uint8_t request_nonce[ROS2I_NONCE_LEN];
    /* --- */
    _Atomic uint64_t next_sequence; /* of request ids; relaxed: only has to differ */
    _Atomic bool
        answered; /* a ros2d has answered once: a broken connection is not a wrong set-up. relaxed */
};

/* The channel's maker, for ros2i_grpc_client. */
grpc_channel *ros2i_credentials_channel(struct ros2i_grpc_client *client);

#endif
