/* SPDX-License-Identifier: Apache-2.0 */
/* The run directory of ros2d --ephemeral. Everything in it is known by name, so that removing it never walks anywhere. */
#include "config.h"

#include "daemon/ephemeral.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"
#include "lib/tls/issue.h"

#define TOKEN_BYTES 32
#define DAYS        30

static int make_dir(struct ros2d_ephemeral *e)
{
    const char *base = getenv("XDG_RUNTIME_DIR");

    if (!base || base[0] != '/' || access(base, W_OK) < 0)
        base = "/tmp";
    if (snprintf(e->dir, sizeof(e->dir), "%s/ros2d-XXXXXX", base) >= (int)sizeof(e->dir))
        return ros2i_fail(ENAMETOOLONG, "run directory below %s: path too long", base);
    if (!mkdtemp(e->dir))
        return ros2i_fail(errno, "run directory %s: %s", e->dir, ros2i_strerror(errno));
    snprintf(e->token_file, sizeof(e->token_file), "%s/token", e->dir);
    snprintf(e->ca_file, sizeof(e->ca_file), "%s/ca.pem", e->dir);
    return 0;
}

static int write_token(const char *path)
{
    uint8_t bytes[TOKEN_BYTES];
    char text[TOKEN_BYTES * 2 + 2];
    int fd, rc = ros2i_random(bytes, sizeof(bytes));

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[2 * TOKEN_BYTES] = '\n';
    ros2i_wipe(bytes, sizeof(bytes));
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, 2 * TOKEN_BYTES + 1) != 2 * TOKEN_BYTES + 1)
        rc = ros2i_fail(errno, "%s: %s", path, ros2i_strerror(errno));
    if (fd >= 0)
        close(fd);
    ros2i_wipe(text, sizeof(text));
    return rc;
}

static int set(char **field, const char *dir, const char *name)
{
    free(*field);
    *field = NULL;
    if (asprintf(field, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
        return ros2i_fail(ENOMEM, "run directory: no memory");
    return 0;
}

static int fill_in(const struct ros2d_ephemeral *e, struct ros2d_config *config)
{
    int rc = set(&config->control.cert_file, e->dir, "server.pem");

    if (rc == 0)
        rc = set(&config->control.key_file, e->dir, "server.key");
    if (rc < 0)
        return rc;
    config->tokens = calloc(1, sizeof(*config->tokens));
    if (!config->tokens)
        return ros2i_fail(ENOMEM, "run directory: no memory");
    config->tokens_count = 1;
    rc = set(&config->tokens[0].name, "", "ephemeral");
    if (rc == 0)
        rc = set(&config->tokens[0].file, e->dir, "token");
    if (rc == 0)
        rc = set(&config->tokens[0].rights, "", "rw");
    return rc;
}

int ros2d_ephemeral_make(struct ros2d_ephemeral *e, struct ros2d_config *config)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "::1"};
    int rc = make_dir(e);

    if (rc < 0)
        return rc;
    rc = ros2i_issue_ca(e->dir, "ros2d ephemeral CA", DAYS);
    if (rc == 0)
        rc = ros2i_issue_leaf(e->dir, "server", ROS2I_LEAF_SERVER, hosts,
                              sizeof(hosts) / sizeof(hosts[0]), DAYS);
    if (rc == 0)
        rc = write_token(e->token_file);
    if (rc == 0)
        rc = fill_in(e, config);
    if (rc < 0)
        ros2d_ephemeral_remove(e);
    return rc;
}

void ros2d_ephemeral_remove(const struct ros2d_ephemeral *e)
{
    static const char *const names[] = {"ca.pem", "ca.key", "server.pem", "server.key", "token"};
    char path[320];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", e->dir, names[i]);
        unlink(path);
    }
    rmdir(e->dir);
}
