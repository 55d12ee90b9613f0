/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant is a root that its engine has opened, and counters. Made and destroyed by main, before and after all users. */
#include "config.h"

#include "daemon/tenant/tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"

int ros2d_tenant_create(const char *name, const struct ros2_engine_ops *ops,
                        struct ros2_engine *engine, const char *location,
                        struct ros2d_tenant **tenant_p)
{
    struct ros2d_tenant *tenant;
    int rc;

    if (name[0] == '\0' || strlen(name) >= sizeof(tenant->name))
        return ros2i_fail(EINVAL, "tenant %s: a name has 1 to %zu bytes", name,
                          sizeof(tenant->name) - 1);
    tenant = calloc(1, sizeof(*tenant));
    if (!tenant)
        return ros2i_fail(ENOMEM, "tenant %s: out of memory", name);
    strcpy(tenant->name, name);
    tenant->engine_ops = ops;
    tenant->engine = engine;
    rc = ops->root_open(engine, location, &tenant->root);
    if (rc < 0)
        goto free_tenant;
    rc = ops->durability_epoch(tenant->root, &tenant->durability_epoch);
    if (rc < 0)
        goto close_root;
    *tenant_p = tenant;
    return 0;
close_root:
    ops->root_close(tenant->root);
free_tenant:
    free(tenant);
    return ros2i_fail_prefix(rc, "tenant %s", name);
}

void ros2d_tenant_destroy(struct ros2d_tenant *tenant)
{
    if (!tenant)
        return;
    tenant->engine_ops->root_close(tenant->root);
    free(tenant);
}
