/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of HELLO, CHALLENGE, PROOF, WELCOME. Owner: the data thread. */
#ifndef ROS2D_HANDSHAKE_H
#define ROS2D_HANDSHAKE_H

#include "daemon/data/connection.h"

/* Each returns the next state, or < 0 when the peer broke the protocol (error text is set). A refusal is sent as REJECT and
 * returns DOOMED. raw: the message as it came. */
int ros2d_handshake_hello(struct ros2d_connection *c, const struct ros2i_msg *msg, const void *raw,
                          size_t len);
int ros2d_handshake_proof(struct ros2d_connection *c, const struct ros2i_msg *msg);
/* The fence is passed. */
int ros2d_handshake_welcome(struct ros2d_connection *c);

#endif
