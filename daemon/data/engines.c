/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the engine, then each layer over what is below it. Owner: main. */
#include "config.h"

#include "daemon/data/engines.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"

static int open_one(struct ros2d_engines *engines, const char *name, const char *config)
{
    unsigned n = engines->count;
    struct ros2_engine_options options = {
        .size = sizeof(options), .host = &ros2i_host, .config = config};
    int rc;

    if (n == ROS2D_ENGINES_MAX)
        return ros2i_fail(EINVAL, "engine.layers: more than %d", ROS2D_ENGINES_MAX - 1);
    if (n > 0) {
        options.lower_ops = engines->ops[n - 1];
        options.lower = engines->engine[n - 1];
    }
    rc = ros2i_plugin_engine(name, &engines->ops[n]);
    if (rc < 0)
        return rc;
    if (!!(engines->ops[n]->flags & ROS2_ENGINE_LAYER) != (n > 0))
        return ros2i_fail(EINVAL, "engine %s: %s", name,
                          n > 0 ? "not a layer; name it under engine.name"
                                : "a layer; name it under engine.layers");
    rc = engines->ops[n]->engine_open(&options, &engines->engine[n]);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "engine %s", name);
    engines->count++;
    return 0;
}

int ros2d_engines_open(const struct ros2d_config *config, struct ros2d_engines *engines)
{
    const char *rest = config->engine.layers ? config->engine.layers : "";
    char name[64];
    int rc;

    memset(engines, 0, sizeof(*engines));
    rc = open_one(engines, config->engine.name, config->engine.config);
    while (rc == 0 && *rest) {
        size_t len = strcspn(rest, ",");

        if (len == 0 || len >= sizeof(name)) {
            rc = ros2i_fail(EINVAL, "engine.layers: \"%s\": names separated by commas",
                            config->engine.layers);
            break;
        }
        memcpy(name, rest, len);
        name[len] = '\0';
        rc = open_one(engines, name, config->engine.layer_config);
        rest += len + (rest[len] == ',');
    }
    if (rc < 0)
        ros2d_engines_close(engines);
    return rc;
}

void ros2d_engines_close(struct ros2d_engines *engines)
{
    while (engines->count > 0) {
        engines->count--;
        engines->ops[engines->count]->engine_close(engines->engine[engines->count]);
    }
}
