/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls, and whose session it is. */
#ifndef ROS2D_AUTH_H
#define ROS2D_AUTH_H

#include "daemon/control/call.h"

/* Fills call->principal from the bearer token, else from the verified client certificate. -EACCES, -EKEYEXPIRED. */
int ros2d_auth_principal(struct ros2d_call *call);
/* Takes a reference to the session that the call names, which must be the principal's own. -ENOKEY, -EINVAL. */
int ros2d_auth_session(struct ros2d_call *call);
/* 0, or -EACCES with a text: the principal may not change anything. */
int ros2d_auth_may_write(const struct ros2d_call *call);

#endif
