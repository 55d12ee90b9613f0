/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins are found by name, loaded once and kept: what was loaded stays valid for the life of the process. The list
 * of loaded plugins and the load itself are guarded by one mutex. The process's signal dispositions are the same after a
 * load as before, whatever constructors of the plugin's own libraries did. */
#include "config.h"

#include "lib/base/plugin.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/signals.h"

#define NAME_MAX_LEN 32

const struct ros2_host ros2i_host = {
    .size = sizeof(struct ros2_host),
    .fail = ros2i_fail,
    .log = ros2i_log,
    .now_ns = ros2i_now_ns,
    .random = ros2i_random,
};

/* What the ops structs of both interfaces begin with. */
struct ops_head {
    uint32_t abi;
    uint32_t flags;
    size_t size;
    const char *name;
};
#define SAME_HEAD(ops, member) (offsetof(struct ops_head, member) == offsetof(struct ops, member))
_Static_assert(SAME_HEAD(ros2_transport_ops, abi) && SAME_HEAD(ros2_engine_ops, abi),
               "abi comes first");
_Static_assert(SAME_HEAD(ros2_transport_ops, size) && SAME_HEAD(ros2_engine_ops, size),
               "size has one place");
_Static_assert(SAME_HEAD(ros2_transport_ops, name) && SAME_HEAD(ros2_engine_ops, name),
               "name has one place");

struct interface {
    const char *noun;   /* as in ros2_NOUN_NAME.so */
    const char *symbol; /* the entry point */
    uint32_t abi;
    size_t size;   /* of the ops struct as this program knows it */
    bool variants; /* names may be "PLUGIN+VARIANT" */
    const void *(*enter)(void *symbol);
};

struct plugin {
    struct plugin *next;
    const struct interface *interface;
    const void *ops;
    char name[NAME_MAX_LEN + 1];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct plugin *loaded; /* guarded by mutex */

static const void *enter_transport(void *symbol)
{
    ros2_transport_plugin_fn *entry;

    memcpy(&entry, &symbol,
           sizeof entry); /* POSIX: dlsym's result may be a function; C has no cast for it */
    return entry();
}

static const void *enter_engine(void *symbol)
{
    ros2_engine_plugin_fn *entry;

    memcpy(&entry, &symbol, sizeof entry);
    return entry();
}

static const struct interface transport_interface = {
    .noun = "transport",
    .symbol = ROS2_TRANSPORT_SYMBOL,
    .abi = ROS2_TRANSPORT_ABI,
    .size = sizeof(struct ros2_transport_ops),
    .variants = true,
    .enter = enter_transport,
};

static const struct interface engine_interface = {
    .noun = "engine",
    .symbol = ROS2_ENGINE_SYMBOL,
    .abi = ROS2_ENGINE_ABI,
    .size = sizeof(struct ros2_engine_ops),
    .enter = enter_engine,
};

/* -- search -- */

static size_t span(const char *name, size_t len, const char *others)
{
    size_t i = 0;

    while (i < len && isascii((unsigned char)name[i]) &&
           (isalnum((unsigned char)name[i]) || (name[i] && strchr(others, name[i]))))
        i++;
    return i;
}

static bool is_name(const char *name, size_t len, bool variants)
{
    const char *plus = variants ? memchr(name, '+', len) : NULL;
    size_t plugin = plus ? (size_t)(plus - name) : len;

    if (plugin == 0 || len > NAME_MAX_LEN || span(name, plugin, "_") != plugin)
        return false;
    if (!plus)
        return true;
    size_t variant = len - plugin - 1;
    return variant > 0 && span(plus + 1, variant, "_;-.") == variant;
}

bool ros2i_plugin_is_transport_name(const char *name, size_t len)
{
    return is_name(name, len, true);
}

static int check_name(const struct interface *interface, const char *name)
{
    size_t len = strnlen(name, NAME_MAX_LEN + 1);

    if (len == 0 || len > NAME_MAX_LEN)
        return ros2i_fail(EINVAL, "%s \"%.64s\": a name has 1..%d characters", interface->noun,
                          name, NAME_MAX_LEN);
    if (!is_name(name, len, interface->variants))
        return ros2i_fail(EINVAL, "%s \"%.64s\": a name is made of letters, digits and '_'%s",
                          interface->noun, name,
                          interface->variants ? ", or such a name, '+' and a variant" : "");
    return 0;
}

/* The first folder of the colon-separated list that has the file: its path, malloc'ed; NULL with errno ENOENT or
 * ENOMEM. Empty entries are skipped: they would mean whatever folder the process is in. */
static char *find_in(const char *folders, const char *file)
{
    while (*folders) {
        size_t len = strcspn(folders, ":");
        char *path;

        if (len > 0) {
            if (asprintf(&path, "%.*s/%s", (int)len, folders, file) < 0) {
                errno = ENOMEM;
                return NULL;
            }
            if (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
                return path; /* not readable or the like: dlopen says why */
            free(path);
        }
        folders += len + (folders[len] == ':');
    }
    errno = ENOENT;
    return NULL;
}

static int find(const struct interface *interface, const char *name, char **path_p)
{
    const char *folders = secure_getenv("ROS2_PLUGIN_PATH"); /* NULL in set-uid programs */
    char file[NAME_MAX_LEN + 32];
    char *path = NULL;

    snprintf(file, sizeof file, "ros2_%s_%s.so", interface->noun, name);
    errno = ENOENT;
    if (folders)
        path = find_in(folders, file);
    if (!path && errno == ENOENT)
        path = find_in(ROS2_PLUGIN_DIR, file);
    if (path) {
        *path_p = path;
        return 0;
    }
    if (errno == ENOMEM)
        return ros2i_fail(ENOMEM, "%s %s: no memory for its path", interface->noun, name);
    return ros2i_fail(ENOENT,
                      "%s %s: no file %s in %s%s%s; install it (Debian: apt-file search %s) or "
                      "name its folder in "
                      "ROS2_PLUGIN_PATH",
                      interface->noun, name, file, folders ? folders : "", folders ? ":" : "",
                      ROS2_PLUGIN_DIR, file);
}

/* -- load; the mutex is held -- */

static int check_ops(const struct interface *interface, const char *path, const void *ops)
{
    const struct ops_head *head = ops;

    if (!head)
        return ros2i_fail(EPROTONOSUPPORT, "%s %s gives no operations; rebuild it", interface->noun,
                          path);
    if (head->abi != interface->abi)
        return ros2i_fail(EPROTONOSUPPORT,
                          "%s %s has ABI %u, this program needs %u; install equal versions of both",
                          interface->noun, path, head->abi, interface->abi);
    if (head->size < interface->size)
        return ros2i_fail(EPROTONOSUPPORT,
                          "%s %s lacks operations (%zu bytes of them, this program needs %zu); "
                          "install equal versions "
                          "of both",
                          interface->noun, path, head->size, interface->size);
    return 0;
}

static int open_plugin(const struct interface *interface, const char *path, const void **ops_p)
{
    /* NODELETE: UCX, libfabric and gRPC do not survive being unloaded. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (!library)
        return ros2i_fail(ELIBACC, "%s %s does not load: %s", interface->noun, path, dlerror());
    void *symbol = dlsym(library, interface->symbol);
    if (!symbol)
        return ros2i_fail(ELIBACC,
                          "%s %s does not load: it is no %s of libros2 (it lacks the symbol %s)",
                          interface->noun, path, interface->noun, interface->symbol);
    const void *ops = interface->enter(symbol);
    int rc = check_ops(interface, path, ops);
    if (rc < 0)
        return rc;
    *ops_p = ops;
    return 0;
}

static struct plugin *find_loaded(const struct interface *interface, const char *name)
{
    struct plugin *plugin = loaded;

    while (plugin && (plugin->interface != interface || strcmp(plugin->name, name) != 0))
        plugin = plugin->next;
    return plugin;
}

static int load(const struct interface *interface, const char *name, const void **ops_p)
{
    struct sigaction signals[ROS2I_SIGNALS + 1];
    char *path = NULL;
    int rc = find(interface, name, &path);

    if (rc < 0)
        return rc;
    struct plugin *plugin = calloc(1, sizeof *plugin);
    if (!plugin) {
        rc = ros2i_fail(ENOMEM, "%s %s: no memory", interface->noun, name);
        goto free_path;
    }
    ros2i_signals_save(signals);
    rc = open_plugin(interface, path, &plugin->ops);
    ros2i_signals_restore(signals);
    if (rc < 0) {
        free(plugin);
        goto free_path;
    }
    plugin->interface = interface;
    strcpy(plugin->name, name); /* check_name limits it */
    plugin->next = loaded;
    loaded = plugin;
    *ops_p = plugin->ops;
free_path:
    free(path);
    return rc;
}

/* A thread of the parent may have held the mutex at the fork; it does not exist in the child. */
static void reset_mutex(void)
{
    pthread_mutex_init(&mutex, NULL);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, reset_mutex);
}

static int get(const struct interface *interface, const char *name, const void **ops_p)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int rc = check_name(interface, name);

    if (rc < 0)
        return rc;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&mutex);
    struct plugin *plugin = find_loaded(interface, name);
    if (plugin)
        *ops_p = plugin->ops;
    else
        rc = load(interface, name, ops_p);
    pthread_mutex_unlock(&mutex);
    if (rc == 0 && !plugin)
        ros2i_log(ROS2_LOG_DEBUG, "base", "loaded %s %s", interface->noun, name);
    return rc;
}

/* The variant of a plugin, when it has any. Libraries that it wakes may install signal handlers, as at load. */
static int find_variant(const struct ros2_transport_ops *plugin, const char *name,
                        const struct ros2_transport_ops **ops_p)
{
    struct sigaction signals[ROS2I_SIGNALS + 1];
    const char *plus = strchr(name, '+');

    if (!plus && !plugin->variant) {
        *ops_p = plugin;
        return 0;
    }
    if (!plus)
        return ros2i_fail(EINVAL, "transport %s: say which, as \"%s+tcp\"", name, name);
    if (!plugin->variant)
        return ros2i_fail(ENOTSUP, "transport %s: plugin %s has no variants; name it without '+'",
                          name, plugin->name);
    pthread_mutex_lock(&mutex);
    ros2i_signals_save(signals);
    const struct ros2_transport_ops *ops = plugin->variant(plus + 1);
    ros2i_signals_restore(signals);
    pthread_mutex_unlock(&mutex);
    if (!ops)
        return ros2i_fail(ENOTSUP,
                          "transport %s: plugin %s of this version does not know it; "
                          "docs/TRANSPORTS.md lists those that it has",
                          name, plugin->name);
    int rc = check_ops(&transport_interface, name, ops);
    if (rc == 0)
        *ops_p = ops;
    return rc;
}

int ros2i_plugin_transport(const char *name, const struct ros2_transport_ops **ops_p)
{
    char plugin[NAME_MAX_LEN + 1];
    const void *ops;
    int rc = check_name(&transport_interface, name);

    if (rc < 0)
        return rc;
    snprintf(plugin, sizeof plugin, "%.*s", (int)strcspn(name, "+"), name);
    rc = get(&transport_interface, plugin, &ops);
    return rc < 0 ? rc : find_variant(ops, name, ops_p);
}

int ros2i_plugin_open_domain(const struct ros2_transport_ops *ops,
                             const struct ros2_domain_options *options,
                             struct ros2_domain **domain_p)
{
    struct sigaction signals[ROS2I_SIGNALS + 1];

    pthread_mutex_lock(&mutex);
    ros2i_signals_save(signals);
    int rc = ops->domain_open(options, domain_p);
    ros2i_signals_restore(signals);
    pthread_mutex_unlock(&mutex);
    return rc;
}

int ros2i_plugin_engine(const char *name, const struct ros2_engine_ops **ops_p)
{
    const void *ops;
    int rc = get(&engine_interface, name, &ops);

    if (rc == 0)
        *ops_p = ops;
    return rc;
}
