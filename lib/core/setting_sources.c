/* SPDX-License-Identifier: Apache-2.0 */
/* Each value comes from the first source that has it. Any thread; nothing global. */
#include "config.h"

#include "lib/core/setting_sources.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/core/settings.h"

#define SYSTEM_FILE "/etc/ros2/client.yaml"

/* -- the caller -- */

/* The caller's struct may be of an older or newer library than this one. */
static int copy_options(const struct ros2_connect_options *from,
                        struct ros2_connect_options *options)
{
    *options = (struct ros2_connect_options){.size = sizeof(*options)};
    if (!from)
        return 0;
    if (from->size < offsetof(struct ros2_connect_options, timeout_ns))
        return ros2i_fail(
            EINVAL, "connect options: size is %zu; set it to sizeof(struct ros2_connect_options)",
            from->size);
    size_t known = from->size < sizeof(*options) ? from->size : sizeof(*options);
    memcpy(options, from, known);
    for (size_t i = known; i < from->size; i++)
        if (((const char *)from)[i] != 0)
            return ros2i_fail(
                EINVAL,
                "connect options: the program sets an option that this libros2 does not know; it "
                "needs a newer one");
    if (options->flags & ~ROS2_CONNECT_PLAINTEXT)
        return ros2i_fail(EINVAL, "connect options: unknown flags 0x%x",
                          options->flags & ~ROS2_CONNECT_PLAINTEXT);
    if (options->checksum < -1 || options->checksum > 1)
        return ros2i_fail(EINVAL, "connect options: checksum %d is not -1, 0 or 1",
                          options->checksum);
    if (options->timeout_ns > ROS2I_TIMEOUT_MAX_NS)
        return ros2i_fail(EINVAL, "connect options: timeout_ns %llu is above one day",
                          (unsigned long long)options->timeout_ns);
    return 0;
}

/* -- the config file -- */

static int load(struct ros2i_setting_sources *sources, const char *path)
{
    snprintf(sources->path, sizeof(sources->path), "%s", path);
    return ros2i_settings_file_load(path, &sources->file);
}

static int try_default(struct ros2i_setting_sources *sources, const char *path)
{
    int rc = load(sources, path);
    return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

static int load_user_file(struct ros2i_setting_sources *sources)
{
    char path[4096];
    const char *dir = secure_getenv("XDG_CONFIG_HOME");
    const char *home = secure_getenv("HOME");
    int len = 0;
    if (dir && *dir == '/')
        len = snprintf(path, sizeof(path), "%s/ros2/client.yaml", dir);
    else if (home && *home == '/')
        len = snprintf(path, sizeof(path), "%s/.config/ros2/client.yaml", home);
    return len > 0 && (size_t)len < sizeof(path) ? try_default(sources, path) : 0;
}

static int load_file(struct ros2i_setting_sources *sources)
{
    const char *named =
        sources->options.config_file ? sources->options.config_file : secure_getenv("ROS2_CONFIG");
    if (named && *named != '\0')
        return load(sources, named);
    int rc = load_user_file(sources);
    return rc < 0 || sources->file ? rc : try_default(sources, SYSTEM_FILE);
}

int ros2i_setting_sources_open(const char *url, const struct ros2_connect_options *options,
                               struct ros2i_setting_sources *sources)
{
    *sources = (struct ros2i_setting_sources){.url = url};
    int rc = copy_options(options, &sources->options);
    return rc < 0 ? rc : load_file(sources);
}

void ros2i_setting_sources_close(struct ros2i_setting_sources *sources)
{
    ros2i_settings_file_free(sources->file);
    sources->file = NULL;
}

/* -- values -- */

#define ROW(id, name, variable)                                                           \
    [ROS2I_SETTING_##id] = {#name, variable, offsetof(struct ros2_connect_options, name), \
                            offsetof(struct ros2i_settings_file, name)}

static const struct row {
    const char *name, *variable;
    size_t in_options, in_file; /* of a string; the URL is no option */
} rows[ROS2I_SETTING_COUNT] = {
    [ROS2I_SETTING_URL] = {"url", "ROS2_URL", 0, offsetof(struct ros2i_settings_file, url)},
    ROW(TOKEN_FILE, token_file, "ROS2_TOKEN_FILE"),
    ROW(CA_FILE, ca_file, "ROS2_CA_FILE"),
    ROW(CERT_FILE, cert_file, "ROS2_CERT_FILE"),
    ROW(KEY_FILE, key_file, "ROS2_KEY_FILE"),
    ROW(SERVER_NAME, server_name, "ROS2_SERVER_NAME"),
    ROW(TRANSPORT, transport, "ROS2_TRANSPORT"),
    ROW(SHM_DIR, shm_dir, "ROS2_SHM_DIR"),
    ROW(NETWORKS, networks, "ROS2_NETWORKS"),
};

static const char *string_at(const void *object, size_t offset)
{
    const char *value;

    memcpy(&value, (const char *)object + offset, sizeof(value));
    return value;
}

const char *ros2i_setting_find(const struct ros2i_setting_sources *sources,
                               enum ros2i_setting setting, const char **source_p)
{
    const struct row *row = &rows[setting];
    const char *value =
        setting == ROS2I_SETTING_URL ? sources->url : string_at(&sources->options, row->in_options);

    *source_p = "option";
    if (value)
        return value;
    *source_p = row->variable;
    value = secure_getenv(row->variable);
    if (value && *value != '\0')
        return value;
    *source_p = sources->path;
    return sources->file ? string_at(sources->file, row->in_file) : NULL;
}

int ros2_settings(const char *url, const struct ros2_connect_options *options, ros2_setting_fn *fn,
                  void *arg)
{
    struct ros2i_setting_sources sources;
    int rc = ros2i_setting_sources_open(url, options, &sources);

    if (rc < 0)
        return rc;
    for (int i = 0; i < ROS2I_SETTING_COUNT; i++) {
        const char *source;
        const char *value = ros2i_setting_find(&sources, i, &source);
        if (i == ROS2I_SETTING_TOKEN_FILE && sources.options.token)
            value = NULL; /* the token itself goes before */
        if (value && *value != '\0')
            fn(arg, rows[i].name, value, source);
    }
    ros2i_setting_sources_close(&sources);
    return 0;
}
