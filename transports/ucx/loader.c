/* SPDX-License-Identifier: Apache-2.0 */
/* As soon as it is loaded, UCX replaces functions of the C library (mmap, madvise, free, ...) in the whole process, to hear of
 * memory that is given back behind its caches of registrations. This transport has no such cache, and the application's
 * functions are its own. UCX's library for that reads its settings once, the first time that it is given any, which its other
 * libraries do while they are loaded: so it is loaded before them, and told to replace nothing. Where the application has UCX
 * loaded already, or says by UCX_MEM_EVENTS what it wants, that holds. Owner: none; any thread, once. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucm/api/ucm.h>

#include "transports/ucx/plugin.h"

#define MEMORY_LIBRARY "libucm.so.0"

typedef const struct ros2_transport_ops *variant_fn(const char *name);

static variant_fn *variant; /* of the module; NULL: it could not be loaded, */
static char why[512];       /* because of this */

static void leave_memory_alone(void)
{
    void *library = dlopen(MEMORY_LIBRARY, RTLD_LAZY | RTLD_NOLOAD);

    if (library || getenv("UCX_MEM_EVENTS") || getenv("UCX_MEM_MMAP_HOOK_MODE"))
        return;
    /* Lazily: it refers to libucs, which refers to it. */
    library = dlopen(MEMORY_LIBRARY, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return; /* then nor does the rest */
    const ucm_global_config_t *now = dlsym(library, "ucm_global_opts");
    __typeof__(ucm_set_global_opts) *set = NULL;
    *(void **)&set = dlsym(library, "ucm_set_global_opts");
    if (!now || !set)
        return;
    ucm_global_config_t options = *now;
    options.enable_events = 0;
    set(&options);
}

static void load(void)
{
    char path[PATH_MAX];
    Dl_info self;

    leave_memory_alone();
    /* Beside this file. */
    if (dladdr((void *)(uintptr_t)load, &self) == 0 || !strrchr(self.dli_fname, '/'))
        snprintf(path, sizeof path, "%s", UCX_MODULE);
    else
        snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(self.dli_fname, '/') - self.dli_fname),
                 self.dli_fname, UCX_MODULE);
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module)
        *(void **)&variant = dlsym(module, UCX_VARIANT);
    if (!variant)
        snprintf(why, sizeof why, "%s", dlerror());
}

/* -- where the module cannot be loaded -- */

static int refuse(const struct ros2_host *host)
{
    return host->fail(ENODEV, "transport ucx: %s; install UCX (Debian: libucx0)", why);
}

static int open_nothing(const struct ros2_domain_options *options, struct ros2_domain **domain_p)
{
    (void)domain_p;
    return refuse(options->host);
}

static int not_available(const struct ros2_host *host, const char *peer)
{
    (void)peer;
    return refuse(host);
}

static const struct ros2_transport_ops *find_variant(const char *name)
{
    static const struct ros2_transport_ops nothing = {
        .abi = ROS2_TRANSPORT_ABI,
        .flags = ROS2_TRANSPORT_EXPOSES,
        .size = sizeof nothing,
        .name = "ucx",
        .domain_open = open_nothing,
        .available = not_available,
    };
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    return variant ? variant(name) : &nothing;
}

const struct ros2_transport_ops *ros2_transport_plugin(void)
{
    static const struct ros2_transport_ops ops = {
        .abi = ROS2_TRANSPORT_ABI,
        .size = sizeof ops,
        .name = "ucx",
        .variant = find_variant,
    };

    return &ops;
}
