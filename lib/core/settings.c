/* SPDX-License-Identifier: Apache-2.0 */
/* Merging and checking the settings. Any thread; nothing global. */
#include "config.h"

#include "lib/core/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"
#include "lib/base/secret.h"
#include "lib/core/networks.h"
#include "lib/core/setting_sources.h"
#include "lib/protocol/session.h"

#define TOKEN_MAX 8192

/* -- single settings -- */

static int set_string(char **target, const char *value)
{
    if (!value || *value == '\0')
        return 0;
    *target = strdup(value);
    return *target ? 0 : ros2i_fail(ENOMEM, "settings: out of memory");
}

static int take(char **target, const struct ros2i_setting_sources *sources,
                enum ros2i_setting setting)
{
    const char *source;

    return set_string(target, ros2i_setting_find(sources, setting, &source));
}

static int set_url(struct ros2i_settings *settings, const struct ros2i_setting_sources *sources)
{
    const char *source;
    const char *text = ros2i_setting_find(sources, ROS2I_SETTING_URL, &source);

    if (!text)
        return ros2i_fail(EINVAL,
                          "no URL: give one, or set ROS2_URL, or the key url in a config file");
    return ros2i_url_parse(text, &settings->url);
}

static int set_token(struct ros2i_settings *settings, const struct ros2i_setting_sources *sources)
{
    const char *source;
    const char *path = ros2i_setting_find(sources, ROS2I_SETTING_TOKEN_FILE, &source);

    if (sources->options.token)
        return set_string(&settings->token, sources->options.token);
    return path ? ros2i_secret_read_file(path, "token", TOKEN_MAX, &settings->token) : 0;
}

static int set_numbers(struct ros2i_settings *settings, const struct ros2_connect_options *options,
                       const struct ros2i_settings_file *file)
{
    settings->checksum = options->checksum;
    settings->timeout_ns = options->timeout_ns;
    if (file && file->checksum && settings->checksum == 0) {
        if (strcmp(file->checksum, "on") == 0)
            settings->checksum = 1;
        else if (strcmp(file->checksum, "off") == 0)
            settings->checksum = -1;
        else if (strcmp(file->checksum, "auto") != 0)
            return ros2i_fail(EINVAL, "config file: checksum \"%s\" is not on, off or auto",
                              file->checksum);
    }
    if (file && file->timeout_ms && settings->timeout_ns == 0) {
        if (*file->timeout_ms < 1 || *file->timeout_ms > ROS2I_TIMEOUT_MAX_NS / 1000000)
            return ros2i_fail(EINVAL, "config file: timeout_ms %llu is not in 1..86400000",
                              (unsigned long long)*file->timeout_ms);
        settings->timeout_ns = *file->timeout_ms * 1000000;
    }
    if (settings->timeout_ns == 0)
        settings->timeout_ns = ROS2I_TIMEOUT_DEFAULT_NS;
    return 0;
}

static int set_transport(struct ros2i_settings *settings,
                         const struct ros2i_setting_sources *sources)
{
    int rc = take(&settings->transport, sources, ROS2I_SETTING_TRANSPORT);
    if (rc == 0)
        rc = take(&settings->shm_dir, sources, ROS2I_SETTING_SHM_DIR);
    if (rc == 0)
        rc = take(&settings->networks, sources, ROS2I_SETTING_NETWORKS);
    if (rc == 0 && settings->networks)
        rc = ros2i_networks_check(settings->networks);
    if (rc < 0)
        return rc;
    for (const char *at = settings->transport; at;) {
        size_t len = strcspn(at, ",");
        if (len == 0 || len >= ROS2I_TRANSPORT_NAME_MAX || !ros2i_plugin_is_transport_name(at, len))
            return ros2i_fail(
                EINVAL,
                "settings: transport \"%s\" is no list of names by preference with commas "
                "between, like shm,tcp",
                settings->transport);
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    if (settings->shm_dir && settings->shm_dir[0] != '/')
        return ros2i_fail(EINVAL, "settings: shm_dir \"%s\" is no absolute path",
                          settings->shm_dir);
    return 0;
}

static int merge(struct ros2i_settings *settings, const struct ros2i_setting_sources *sources)
{
    const struct ros2_connect_options *options = &sources->options;
    int rc = set_url(settings, sources);

    if (rc == 0)
        rc = set_token(settings, sources);
    if (rc == 0)
        rc = take(&settings->ca_file, sources, ROS2I_SETTING_CA_FILE);
    if (rc == 0)
        rc = take(&settings->cert_file, sources, ROS2I_SETTING_CERT_FILE);
    if (rc == 0)
        rc = take(&settings->key_file, sources, ROS2I_SETTING_KEY_FILE);
    if (rc == 0)
        rc = take(&settings->server_name, sources, ROS2I_SETTING_SERVER_NAME);
    if (rc == 0)
        rc =
            set_string(&settings->client_name,
                       options->client_name ? options->client_name : program_invocation_short_name);
    if (rc == 0)
        rc = set_transport(settings, sources);
    if (rc == 0)
        rc = set_numbers(settings, options, sources->file);
    if (rc == 0 && !settings->cert_file != !settings->key_file)
        rc = ros2i_fail(EINVAL, "settings: %s without %s; mutual TLS needs both",
                        settings->cert_file ? "cert_file" : "key_file",
                        settings->cert_file ? "key_file" : "cert_file");
    return rc;
}

int ros2i_settings_load(const char *url, const struct ros2_connect_options *options,
                        struct ros2i_settings *settings_p)
{
    struct ros2i_setting_sources sources;
    int rc = ros2i_setting_sources_open(url, options, &sources);

    if (rc < 0)
        return rc;
    struct ros2i_settings settings = {.plaintext =
                                          (sources.options.flags & ROS2_CONNECT_PLAINTEXT) != 0};
    rc = merge(&settings, &sources);
    ros2i_setting_sources_close(&sources);
    if (rc < 0) {
        ros2i_settings_fini(&settings);
        return rc;
    }
    *settings_p = settings;
    return 0;
}

void ros2i_settings_fini(struct ros2i_settings *settings)
{
    ros2i_secret_free(settings->token);
    free(settings->ca_file);
    free(settings->cert_file);
    free(settings->key_file);
    free(settings->server_name);
    free(settings->client_name);
    free(settings->transport);
    free(settings->shm_dir);
    free(settings->networks);
    *settings = (struct ros2i_settings){0};
}
