/* SPDX-License-Identifier: Apache-2.0 */
/* Merging the sources of settings. Any thread; nothing global. Each value comes from the first source that has it: the
 * caller, the environment, the config file. */
#include "config.h"

#include "lib/core/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"
#include "lib/base/secret.h"
#include "lib/core/settings_file.h"
#include "lib/protocol/session.h"

#define TOKEN_MAX   8192
#define SYSTEM_FILE "/etc/ros2/client.yaml"

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

static int try_default(const char *path, struct ros2i_settings_file **file_p)
{
    int rc = ros2i_settings_file_load(path, file_p);
    return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

static int load_user_file(struct ros2i_settings_file **file_p)
{
    char path[4096];
    const char *dir = secure_getenv("XDG_CONFIG_HOME");
    const char *home = secure_getenv("HOME");
    int len = 0;
    if (dir && *dir == '/')
        len = snprintf(path, sizeof(path), "%s/ros2/client.yaml", dir);
    else if (home && *home == '/')
        len = snprintf(path, sizeof(path), "%s/.config/ros2/client.yaml", home);
    return len > 0 && (size_t)len < sizeof(path) ? try_default(path, file_p) : 0;
}

static int load_file(const struct ros2_connect_options *options,
                     struct ros2i_settings_file **file_p)
{
    *file_p = NULL;
    const char *named = options->config_file ? options->config_file : secure_getenv("ROS2_CONFIG");
    if (named && *named != '\0')
        return ros2i_settings_file_load(named, file_p);
    int rc = load_user_file(file_p);
    return rc < 0 || *file_p ? rc : try_default(SYSTEM_FILE, file_p);
}

/* -- single settings -- */

static const char *first_of(const char *option, const char *variable, const char *in_file)
{
    if (option)
        return option;
    const char *value = secure_getenv(variable);
    return value && *value != '\0' ? value : in_file;
}

static int set_string(char **target, const char *value)
{
    if (!value || *value == '\0')
        return 0;
    *target = strdup(value);
    return *target ? 0 : ros2i_fail(ENOMEM, "settings: out of memory");
}

static int set_url(struct ros2i_settings *settings, const char *url,
                   const struct ros2i_settings_file *file)
{
    const char *text = first_of(url, "ROS2_URL", file ? file->url : NULL);
    if (!text)
        return ros2i_fail(EINVAL,
                          "no URL: give one, or set ROS2_URL, or the key url in a config file");
    return ros2i_url_parse(text, &settings->url);
}

static int set_token(struct ros2i_settings *settings, const struct ros2_connect_options *options,
                     const struct ros2i_settings_file *file)
{
    if (options->token)
        return set_string(&settings->token, options->token);
    const char *path =
        first_of(options->token_file, "ROS2_TOKEN_FILE", file ? file->token_file : NULL);
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
                         const struct ros2_connect_options *options,
                         const struct ros2i_settings_file *file)
{
    int rc = set_string(&settings->transport, first_of(options->transport, "ROS2_TRANSPORT",
                                                       file ? file->transport : NULL));
    if (rc == 0)
        rc = set_string(&settings->shm_dir,
                        first_of(options->shm_dir, "ROS2_SHM_DIR", file ? file->shm_dir : NULL));
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

static int merge(struct ros2i_settings *settings, const char *url,
                 const struct ros2_connect_options *options, const struct ros2i_settings_file *file)
{
    int rc = set_url(settings, url, file);
    if (rc == 0)
        rc = set_token(settings, options, file);
    if (rc == 0)
        rc = set_string(&settings->ca_file,
                        first_of(options->ca_file, "ROS2_CA_FILE", file ? file->ca_file : NULL));
    if (rc == 0)
        rc = set_string(&settings->cert_file, first_of(options->cert_file, "ROS2_CERT_FILE",
                                                       file ? file->cert_file : NULL));
    if (rc == 0)
        rc = set_string(&settings->key_file,
                        first_of(options->key_file, "ROS2_KEY_FILE", file ? file->key_file : NULL));
    if (rc == 0)
        rc = set_string(&settings->server_name, first_of(options->server_name, "ROS2_SERVER_NAME",
                                                         file ? file->server_name : NULL));
    if (rc == 0)
        rc =
            set_string(&settings->client_name,
                       options->client_name ? options->client_name : program_invocation_short_name);
    if (rc == 0)
        rc = set_transport(settings, options, file);
    if (rc == 0)
        rc = set_numbers(settings, options, file);
    if (rc == 0 && !settings->cert_file != !settings->key_file)
        rc = ros2i_fail(EINVAL, "settings: %s without %s; mutual TLS needs both",
                        settings->cert_file ? "cert_file" : "key_file",
                        settings->cert_file ? "key_file" : "cert_file");
    return rc;
}

int ros2i_settings_load(const char *url, const struct ros2_connect_options *options,
                        struct ros2i_settings *settings_p)
{
    struct ros2_connect_options checked;
    struct ros2i_settings_file *file;
    int rc = copy_options(options, &checked);
    if (rc < 0)
        return rc;
    rc = load_file(&checked, &file);
    if (rc < 0)
        return rc;
    struct ros2i_settings settings = {.plaintext = (checked.flags & ROS2_CONNECT_PLAINTEXT) != 0};
    rc = merge(&settings, url, &checked, file);
    ros2i_settings_file_free(file);
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
    *settings = (struct ros2i_settings){0};
}
