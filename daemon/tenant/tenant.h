/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant: its root in an engine and its limits. Fixed after create but for the limits' counters. */
#ifndef ROS2D_TENANT_H
#define ROS2D_TENANT_H

#include "daemon/tenant/limits.h"
#include "ros2/engine.h"

struct ros2d_tenant {
    char name[64];
    const struct ros2_engine_ops *engine_ops;
    struct ros2_engine *engine;
    struct ros2_root *root;
    uint64_t durability_epoch;
    struct ros2d_limits limits;
};

/* engine: opened, borrowed until destroy. location: the engine's name of the tenant's root. */
int ros2d_tenant_create(const char *name, const struct ros2_engine_ops *ops,
                        struct ros2_engine *engine, const char *location,
                        struct ros2d_tenant **tenant_p);
void ros2d_tenant_destroy(struct ros2d_tenant *tenant);

#endif
