/* SPDX-License-Identifier: Apache-2.0 */
/* A stack of engines: opened from the bottom up, closed from the top down. Owner: main. */
#include "config.h"

#include "daemon/data/engines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"

#define LAYERS_MAX 8

struct ros2d_engines {
    unsigned count;
    struct {
        const struct ros2_engine_ops *ops;
        struct ros2_engine *engine;
    } level[1 + LAYERS_MAX];
};

static int push(struct ros2d_engines *engines, const char *name, const char *settings)
{
    const struct ros2_engine_ops *ops;
    struct ros2_engine_options options = {.size = sizeof(options),
                                          .host = &ros2i_host,
                                          .config = settings && settings[0] ? settings : NULL};
    bool layer = engines->count > 0;
    int rc;

    if (engines->count == 1 + LAYERS_MAX)
        return ros2i_fail(EINVAL, "engine.layers: at most %d", LAYERS_MAX);
    rc = ros2i_plugin_engine(name, &ops);
    if (rc < 0)
        return rc;
    if (layer != !!(ops->flags & ROS2_ENGINE_LAYER))
        return layer ? ros2i_fail(EINVAL, "engine.layers: %s is no layer", name)
                     : ros2i_fail(EINVAL, "engine.name: %s is a layer; name it in engine.layers",
                                  name);
    if (layer) {
        options.lower_ops = engines->level[engines->count - 1].ops;
        options.lower = engines->level[engines->count - 1].engine;
    }
    rc = ops->engine_open(&options, &engines->level[engines->count].engine);
    if (rc < 0)
        return rc;
    engines->level[engines->count++].ops = ops;
    ros2i_log(ROS2_LOG_INFO, "engine", "opened %s", name);
    return 0;
}

/* The layers share one text of settings; those without any take none. */
static int push_layers(struct ros2d_engines *engines, const struct ros2d_config *config)
{
    const char *at = config->engine.layers;

    while (at && *at) {
        size_t len = strcspn(at, ",");
        char name[64];

        if (snprintf(name, sizeof(name), "%.*s", (int)len, at) >= (int)sizeof(name))
            return ros2i_fail(EINVAL, "engine.layers: a name is too long");
        int rc = push(engines, name, config->engine.layer_config);
        if (rc < 0)
            return rc;
        at += len + (at[len] == ',');
    }
    return 0;
}

int ros2d_engines_open(const struct ros2d_config *config, struct ros2d_engines **engines_p)
{
    struct ros2d_engines *engines = calloc(1, sizeof(*engines));
    int rc;

    if (!engines)
        return ros2i_fail(ENOMEM, "engine: out of memory");
    rc = push(engines, config->engine.name, config->engine.config);
    if (rc == 0)
        rc = push_layers(engines, config);
    if (rc < 0) {
        ros2d_engines_close(engines);
        return rc;
    }
    *engines_p = engines;
    return 0;
}

void ros2d_engines_close(struct ros2d_engines *engines)
{
    if (!engines)
        return;
    while (engines->count > 0) {
        engines->count--;
        engines->level[engines->count].ops->engine_close(engines->level[engines->count].engine);
    }
    free(engines);
}

const struct ros2_engine_ops *ros2d_engines_ops(const struct ros2d_engines *engines)
{
    return engines->level[engines->count - 1].ops;
}

struct ros2_engine *ros2d_engines_engine(const struct ros2d_engines *engines)
{
    return engines->level[engines->count - 1].engine;
}
