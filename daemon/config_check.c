/* SPDX-License-Identifier: Apache-2.0 */
/* What the keys mean together, and what the file system says about them. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/config_file.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"
#include "lib/base/secret.h"
#include "lib/protocol/session.h"
#include "lib/protocol/wire.h"

#define TOKEN_MAX_LEN 4096
#define TOKEN_MIN_LEN 16
#define NAME_MAX_LEN  63

/* -- addresses -- */

static bool parse_host(const char *host, bool *loopback_p)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        *loopback_p = ntohl(v4.s_addr) >> 24 == 127;
    else if (inet_pton(AF_INET6, host, &v6) == 1)
        *loopback_p = IN6_IS_ADDR_LOOPBACK(&v6);
    else
        return false;
    return true;
}

int ros2d_config_address(const char *address, bool *loopback_p, uint16_t *port_p)
{
    const char *colon = strrchr(address, ':');
    char host[64];
    size_t len = colon ? (size_t)(colon - address) : 0;
    char *end;

    if (len == 0 || len >= sizeof(host) || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        !colon[1])
        return -EINVAL;
    memcpy(host, address, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        memmove(host, host + 1, len - 1);
    } else if (strchr(host, ':')) {
        return -EINVAL; /* a bare V6 address: which colon is the port's? */
    }
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (port > 65535 || !parse_host(host, loopback_p))
        return -EINVAL;
    *port_p = (uint16_t)port;
    return 0;
}

static int judge_address(const struct ros2d_config_file *file, const char *key, const char *address,
                         bool *loopback_p, uint16_t *port_p)
{
    if (ros2d_config_address(address, loopback_p, port_p) < 0)
        return ros2d_config_fail(
            file, key, EINVAL,
            "\"%s\" is no address; write HOST:PORT or [V6]:PORT, numeric, e.g. 0.0.0.0:7720",
            address);
    return 0;
}

/* -- sections -- */

static int judge_control(const struct ros2d_config_file *file)
{
    const struct ros2d_config *config = &file->config;
    bool loopback;
    uint16_t port;
    int rc = judge_address(file, "control.listen", config->control.listen, &loopback, &port);

    if (rc < 0)
        return rc;
    if (config->control.plaintext && !loopback)
        return ros2d_config_fail(
            file, "control.plaintext", EINVAL,
            "only with a loopback address, not with %s; give cert_file and key_file instead",
            config->control.listen);
    if (!config->control.plaintext && (!config->control.cert_file || !config->control.key_file))
        return ros2d_config_fail(
            file, config->control.cert_file ? "control.key_file" : "control.cert_file", EINVAL,
            "TLS needs cert_file and key_file; make them with: ros2ctl tls init --dir DIR --host "
            "HOST");
    if (config->tokens_count == 0 && !config->control.client_ca_file && !config->control.plaintext)
        return ros2d_config_fail(
            file, "tokens", EINVAL,
            "nobody could log in; list a token, or name a control.client_ca_file");
    return 0;
}

static bool is_plugin_name(const char *name, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

    return len > 0 && len <= 32 && strspn(name, letters) >= len;
}

static int judge_sizes(const struct ros2d_config_file *file)
{
    const struct ros2d_config *config = &file->config;
    uint32_t chunk = config->data.chunk, max_io = config->data.max_io;
    uint32_t chunks = (max_io - 1) / chunk + 1;

    if (chunk & (chunk - 1))
        return ros2d_config_fail(file, "data.chunk", EINVAL,
                                 "%u is not a power of two; 1048576 is a good value", chunk);
    if (chunks > ROS2I_WIRE_CRCS_MAX)
        return ros2d_config_fail(
            file, "data.chunk", EINVAL,
            "a request of max_io %u would have over %u chunks of %u; give a larger chunk", max_io,
            ROS2I_WIRE_CRCS_MAX, chunk);
    /* An append waits for all its data, and others have to go on meanwhile. */
    if (config->data.bounce_memory < 2ull * chunks * chunk)
        return ros2d_config_fail(file, "data.bounce_memory", EINVAL,
                                 "%u is too little for max_io %u; give %llu or more",
                                 config->data.bounce_memory, max_io, 2ull * chunks * chunk);
    if (config->data.inline_limit > max_io)
        return ros2d_config_fail(file, "data.inline_limit", EINVAL, "%u is above max_io %u",
                                 config->data.inline_limit, max_io);
    return 0;
}

/* -- transports -- */

bool ros2d_config_is_local(const char *transport)
{
    return strcmp(transport, "shm") == 0;
}

bool ros2d_config_transport(const struct ros2d_config *config, unsigned index,
                            char name[ROS2D_TRANSPORT_NAME_MAX])
{
    const char *at = config->data.transport;

    for (; at && index > 0; index--) {
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return false;
    snprintf(name, ROS2D_TRANSPORT_NAME_MAX, "%.*s", (int)strcspn(at, ","), at);
    return true;
}

int ros2d_config_socket(const struct ros2d_config *config, unsigned thread, char *buf, size_t len)
{
    struct sockaddr_un limit;
    size_t max = len < sizeof(limit.sun_path) ? len : sizeof(limit.sun_path);
    int got = snprintf(buf, len, "%s/data-%u.sock", config->data.shm_dir, thread);

    if (got > 0 && (size_t)got < max)
        return 0;
    return ros2i_fail(EINVAL,
                      "%s/data-%u.sock: longer than a socket's path can be (%zu bytes); name a "
                      "shorter folder",
                      config->data.shm_dir, thread, max - 1);
}

/* Names are short, known to be ones of plugins, and there once each. */
static int judge_names(const struct ros2d_config_file *file, unsigned *count_p)
{
    const char *list = file->config.data.transport, *at = list;
    unsigned count = 0;

    while (at) {
        size_t len = strcspn(at, ",");
        if (!ros2i_plugin_is_transport_name(at, len) || len >= ROS2D_TRANSPORT_NAME_MAX)
            return ros2d_config_fail(
                file, "data.transport", EINVAL,
                "\"%s\": give names by preference with commas between, e.g. shm,tcp", list);
        for (const char *other = list; other < at; other += strcspn(other, ",") + 1)
            if (strncmp(other, at, len) == 0 && other[len] == ',')
                return ros2d_config_fail(file, "data.transport", EINVAL,
                                         "\"%s\": %.*s is there twice; remove one", list, (int)len,
                                         at);
        count++;
        at = at[len] ? at + len + 1 : NULL;
    }
    *count_p = count;
    return 0;
}

static int judge_shm(const struct ros2d_config_file *file)
{
    const struct ros2d_config *config = &file->config;
    char name[ROS2D_TRANSPORT_NAME_MAX], path[PATH_MAX];
    bool listed = false;

    for (unsigned i = 0; ros2d_config_transport(config, i, name); i++)
        listed |= ros2d_config_is_local(name);
    if (listed && !config->data.shm_dir)
        return ros2d_config_fail(
            file, "data.transport", EINVAL,
            "shm needs data.shm_dir, the folder of its sockets, e.g. shm_dir: /run/ros2");
    if (!listed && config->data.shm_dir)
        return ros2d_config_fail(
            file, "data.shm_dir", EINVAL,
            "is of use to transport shm only; write transport: shm,tcp, or remove it");
    if (!listed)
        return 0;
    if (config->data.shm_dir[0] != '/')
        return ros2d_config_fail(file, "data.shm_dir", EINVAL,
                                 "%s: give the whole path, since clients are told it",
                                 config->data.shm_dir);
    if (ros2d_config_socket(config, config->data.threads - 1, path, sizeof(path)) < 0)
        return ros2d_config_fail(file, "data.shm_dir", EINVAL, "%s", ros2i_error());
    return 0;
}

static int judge_transports(const struct ros2d_config_file *file)
{
    const struct ros2d_config *config = &file->config;
    unsigned count = 0;
    int rc = judge_names(file, &count);

    if (rc < 0)
        return rc;
    if (count > ROS2D_TRANSPORTS_MAX)
        return ros2d_config_fail(file, "data.transport", EINVAL, "%u names; at most %d are served",
                                 count, ROS2D_TRANSPORTS_MAX);
    if (count * config->data.threads > ROS2I_ENDPOINTS_MAX)
        return ros2d_config_fail(
            file, "data.threads", EINVAL,
            "%u threads with %u transports are more endpoints than a client takes (%d); give fewer",
            config->data.threads, count, ROS2I_ENDPOINTS_MAX);
    return judge_shm(file);
}

/* Each transport of the network has a row of ports, one for each thread. */
static int judge_ports(const struct ros2d_config_file *file, uint16_t port)
{
    const struct ros2d_config *config = &file->config;
    char name[ROS2D_TRANSPORT_NAME_MAX];
    unsigned ports = 0;

    for (unsigned i = 0; ros2d_config_transport(config, i, name); i++)
        ports += ros2d_config_is_local(name) ? 0 : config->data.threads;
    if (port != 0 && ports > 0 && port + ports - 1 > 65535)
        return ros2d_config_fail(file, "data.listen", EINVAL,
                                 "%u ports from %u on are listened on, one for each thread and "
                                 "transport of the network: give a lower port",
                                 ports, port);
    return 0;
}

static int judge_data(const struct ros2d_config_file *file)
{
    const struct ros2d_config *config = &file->config;
    bool loopback;
    uint16_t port;
    int rc = judge_address(file, "data.listen", config->data.listen, &loopback, &port);

    if (rc < 0)
        return rc;
    if (config->data.advertise && !parse_host(config->data.advertise, &loopback))
        return ros2d_config_fail(file, "data.advertise", EINVAL,
                                 "\"%s\" is no numeric address without a port",
                                 config->data.advertise);
    rc = judge_transports(file);
    if (rc == 0)
        rc = judge_ports(file, port);
    return rc < 0 ? rc : judge_sizes(file);
}

static int judge_engine(const struct ros2d_config_file *file)
{
    const struct ros2d_config *config = &file->config;
    const char *at = config->engine.layers;

    if (!is_plugin_name(config->engine.name, strlen(config->engine.name)))
        return ros2d_config_fail(file, "engine.name", EINVAL,
                                 "\"%s\" is no name of an engine; posix is one",
                                 config->engine.name);
    if (!config->engine.root)
        return ros2d_config_fail(file, "engine.root", EINVAL,
                                 "is missing; name the directory to serve");
    while (at) {
        size_t len = strcspn(at, ",");
        if (!is_plugin_name(at, len))
            return ros2d_config_fail(
                file, "engine.layers", EINVAL,
                "\"%s\": give names from the bottom up with commas between, e.g. forward,fault",
                config->engine.layers);
        at = at[len] ? at + len + 1 : NULL;
    }
    return 0;
}

/* -- tokens -- */

int ros2d_config_expiry(const char *text, int64_t *expiry_ns_p)
{
    struct tm tm = {0};
    const char *end;

    if (!text) {
        *expiry_ns_p = INT64_MAX;
        return 0;
    }
    end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!end || *end)
        return ros2i_fail(EINVAL, "\"%s\" is no time; write it like 2027-01-31T00:00:00Z", text);
    int64_t seconds = timegm(&tm);
    if (seconds < 0 || seconds > INT64_MAX / (int64_t)ROS2I_NS_PER_S)
        return ros2i_fail(EINVAL, "\"%s\" is out of range", text);
    *expiry_ns_p = seconds * (int64_t)ROS2I_NS_PER_S;
    return 0;
}

static int judge_token(const struct ros2d_config_file *file, uint32_t index)
{
    const struct ros2d_token_config *tokens = file->config.tokens, *token = &tokens[index];
    int64_t expiry_ns;
    char key[64];

    snprintf(key, sizeof(key), "tokens.%u.name", index);
    if (!token->name || strlen(token->name) > NAME_MAX_LEN)
        return ros2d_config_fail(file, key, EINVAL, "give the token a name of 1 to %d bytes",
                                 NAME_MAX_LEN);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(tokens[i].name, token->name) == 0)
            return ros2d_config_fail(file, key, EINVAL, "\"%s\" is there twice; rename one",
                                     token->name);
    snprintf(key, sizeof(key), "tokens.%u.file", index);
    if (!token->file)
        return ros2d_config_fail(
            file, key, EINVAL,
            "is missing; make one with: (umask 077; openssl rand -hex 32 > %s.token)", token->name);
    snprintf(key, sizeof(key), "tokens.%u.rights", index);
    if (!token->rights || (strcmp(token->rights, "ro") != 0 && strcmp(token->rights, "rw") != 0))
        return ros2d_config_fail(file, key, EINVAL, "\"%s\": give ro or rw",
                                 token->rights ? token->rights : "");
    snprintf(key, sizeof(key), "tokens.%u.expires", index);
    if (ros2d_config_expiry(token->expires, &expiry_ns) < 0)
        return ros2d_config_fail(file, key, EINVAL, "%s", ros2i_error());
    return 0;
}

int ros2d_config_judge(const struct ros2d_config_file *file)
{
    enum ros2_log_level level;
    int rc = judge_control(file);

    if (rc == 0)
        rc = judge_data(file);
    if (rc == 0)
        rc = judge_engine(file);
    for (uint32_t i = 0; rc == 0 && i < file->config.tokens_count; i++)
        rc = judge_token(file, i);
    if (rc == 0 && ros2i_log_level(file->config.log_level, &level) < 0)
        rc = ros2d_config_fail(file, "log_level", EINVAL, "\"%s\": give error, warn, info or debug",
                               file->config.log_level);
    return rc;
}

/* -- the file system -- */

static int check_file(const struct ros2d_config_file *file, const char *key, const char *path,
                      bool secret)
{
    struct stat st;

    if (!path)
        return 0;
    if (stat(path, &st) < 0)
        return ros2d_config_fail(file, key, errno, "%s: %s", path, ros2i_strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ros2d_config_fail(file, key, EINVAL, "%s is not a regular file", path);
    if (secret && (st.st_mode & 007))
        return ros2d_config_fail(file, key, EACCES,
                                 "%s has mode %04o, open to every user; chmod 600 %s", path,
                                 (unsigned)(st.st_mode & 07777), path);
    if (access(path, R_OK) < 0)
        return ros2d_config_fail(file, key, errno, "%s: %s", path, ros2i_strerror(errno));
    return 0;
}

static int check_root(const struct ros2d_config_file *file)
{
    const char *root = file->config.engine.root;
    struct stat st;

    if (strcmp(file->config.engine.name, "posix") !=
        0) /* other engines' roots are no directories of ours */
        return 0;
    if (!root)
        return ros2d_config_fail(file, "engine.root", EINVAL,
                                 "is missing; name the directory to serve");
    if (stat(root, &st) < 0)
        return ros2d_config_fail(file, "engine.root", errno, "%s: %s; make it or name another",
                                 root, ros2i_strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return ros2d_config_fail(file, "engine.root", ENOTDIR, "%s is not a directory", root);
    return 0;
}

/* Its mode is the operator's choice: who may enter it may connect. */
static int check_shm_dir(const struct ros2d_config_file *file)
{
    const char *dir = file->config.data.shm_dir;
    struct stat st;

    if (!dir)
        return 0;
    if (stat(dir, &st) < 0)
        return ros2d_config_fail(file, "data.shm_dir", errno,
                                 "%s: %s; make it, with a mode that lets in whom it is for", dir,
                                 ros2i_strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return ros2d_config_fail(file, "data.shm_dir", ENOTDIR, "%s is not a directory", dir);
    if (access(dir, W_OK | X_OK) < 0)
        return ros2d_config_fail(
            file, "data.shm_dir", errno,
            "%s: %s; ros2d makes its sockets there, so it must be able to write", dir,
            ros2i_strerror(errno));
    return 0;
}

static int check_token(const struct ros2d_config_file *file, uint32_t index)
{
    const struct ros2d_token_config *token = &file->config.tokens[index];
    char key[64], *secret;
    size_t len;

    snprintf(key, sizeof(key), "tokens.%u.file", index);
    int rc = ros2i_secret_read_file(token->file, "token", TOKEN_MAX_LEN, &secret);
    if (rc < 0)
        return ros2d_config_fail(file, key, -rc, "%s", ros2i_error());
    len = strlen(secret);
    ros2i_secret_free(secret);
    if (len < TOKEN_MIN_LEN)
        return ros2d_config_fail(file, key, EINVAL,
                                 "%s: shorter than %d bytes; make one with: openssl rand -hex 32",
                                 token->file, TOKEN_MIN_LEN);
    return 0;
}

int ros2d_config_check(const struct ros2d_config *config)
{
    const struct ros2d_config_file *file = (const struct ros2d_config_file *)config;
    int rc = check_file(file, "control.cert_file", config->control.cert_file, false);

    if (rc == 0)
        rc = check_file(file, "control.key_file", config->control.key_file, true);
    if (rc == 0)
        rc = check_file(file, "control.client_ca_file", config->control.client_ca_file, false);
    if (rc == 0)
        rc = check_root(file);
    if (rc == 0)
        rc = check_shm_dir(file);
    for (uint32_t i = 0; rc == 0 && i < config->tokens_count; i++)
        rc = check_token(file, i);
    return rc;
}
