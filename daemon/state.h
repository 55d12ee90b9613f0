/* SPDX-License-Identifier: Apache-2.0 */
/* What all threads of ros2d share, made by main and fixed after start; the tables inside guard themselves. */
#ifndef ROS2D_STATE_H
#define ROS2D_STATE_H

#include "daemon/config.h"
#include "daemon/tenant/handles.h"
#include "daemon/tenant/regions.h"
#include "daemon/tenant/sessions.h"
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/token.h"

struct ros2d_state {
    const struct ros2d_config *config;
    struct ros2d_tenant *tenant; /* "default"; more with a later version */
    struct ros2d_tokens *tokens;
    struct ros2d_sessions *sessions;
    struct ros2d_handles *handles;
    struct ros2d_regions *regions;
    /* The data plane's endpoints as Session.Open reports them; set before the control plane starts. */
    struct ros2i_endpoint endpoint[ROS2I_ENDPOINTS_MAX];
    uint32_t endpoint_count;
};

#endif
