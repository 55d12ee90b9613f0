/* SPDX-License-Identifier: Apache-2.0 */
/* Owner: main. Always holds: keys and token are in a folder of our own that nobody else may enter, whatever umask says. */
#include "config.h"

#include "daemon/ephemeral.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config_file.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"
#include "lib/tls/issue.h"

#define DAYS        30
#define TOKEN_BYTES 32

struct ros2d_ephemeral {
    char dir[PATH_MAX];
    bool made_dir;
};

static const char *const files[] = {"ca.pem", "ca.key", "server.pem", "server.key", "token"};

/* -- the folder -- */

/* Whoever else may write there could put a key of theirs in place of ours. */
static int check_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = ros2i_fail(errno, "--run-dir %s: %s", path, ros2i_strerror(errno));
    else if (st.st_uid != geteuid())
        rc = ros2i_fail(EACCES,
                        "--run-dir %s: it belongs to user %u, and ros2d runs as user %u; name "
                        "another, or one that is not there yet",
                        path, (unsigned)st.st_uid, (unsigned)geteuid());
    else if (st.st_mode & 077)
        rc = ros2i_fail(EACCES,
                        "--run-dir %s: its mode %04o lets other users in; chmod 700 it, or name "
                        "another",
                        path, (unsigned)(st.st_mode & 07777));
    if (fd >= 0)
        close(fd);
    return rc;
}

static int make_dir(struct ros2d_ephemeral *e, const char *run_dir)
{
    const char *base = getenv("XDG_RUNTIME_DIR");

    if (run_dir) {
        if (!realpath(run_dir, e->dir) && errno != ENOENT)
            return ros2i_fail(errno, "--run-dir %s: %s", run_dir, ros2i_strerror(errno));
        if (mkdir(run_dir, 0700) == 0)
            e->made_dir = true;
        else if (errno != EEXIST)
            return ros2i_fail(errno, "--run-dir %s: mkdir: %s", run_dir, ros2i_strerror(errno));
        if (!realpath(run_dir, e->dir))
            return ros2i_fail(errno, "--run-dir %s: %s", run_dir, ros2i_strerror(errno));
        return check_dir(e->dir);
    }
    if (!base || base[0] != '/' || access(base, W_OK) < 0)
        base = "/tmp";
    if (snprintf(e->dir, sizeof(e->dir), "%s/ros2d-XXXXXX", base) >= (int)sizeof(e->dir) ||
        !mkdtemp(e->dir))
        return ros2i_fail(errno, "%s: mkdtemp: %s; name a folder with --run-dir", base,
                          ros2i_strerror(errno));
    e->made_dir = true;
    return 0;
}

static int path_in(const struct ros2d_ephemeral *e, const char *name, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", e->dir, name) < PATH_MAX
               ? 0
               : ros2i_fail(ENAMETOOLONG, "%s: the path is too long", e->dir);
}

static int make_token(const struct ros2d_ephemeral *e)
{
    uint8_t raw[TOKEN_BYTES];
    char text[2 * TOKEN_BYTES + 2], path[PATH_MAX];
    int rc = path_in(e, "token", path);

    if (rc == 0)
        rc = ros2i_random(raw, sizeof(raw));
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < TOKEN_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", raw[i]);
    text[2 * TOKEN_BYTES] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        rc = ros2i_fail(errno, "%s: %s; name another --run-dir", path, ros2i_strerror(errno));
    else if (write(fd, text, 2 * TOKEN_BYTES + 1) != 2 * TOKEN_BYTES + 1)
        rc = ros2i_fail(EIO, "%s: cannot be written", path);
    if (fd >= 0)
        close(fd);
    ros2i_wipe(raw, sizeof(raw));
    ros2i_wipe(text, sizeof(text));
    return rc;
}

/* HOST of HOST:PORT or [V6]:PORT. What is wrong with it is found by who listens there. */
static void take_host(const char *listen, char *host, size_t size)
{
    const char *end = strrchr(listen, ':');
    size_t len = end ? (size_t)(end - listen) : strlen(listen);

    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    snprintf(host, size, "%.*s", (int)len, listen);
}

/* Can a client connect to it by this text, other than by the names that each certificate has? */
static bool is_other_address(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return v4.s_addr != htonl(INADDR_ANY) && v4.s_addr != htonl(INADDR_LOOPBACK);
    return inet_pton(AF_INET6, host, &v6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&v6) &&
           !IN6_IS_ADDR_LOOPBACK(&v6);
}

static int make_files(const struct ros2d_ephemeral *e, const char *listen)
{
    char host[64];
    const char *hosts[] = {"localhost", "127.0.0.1", "::1", host};
    int rc = ros2i_issue_ca(e->dir, "ros2d ephemeral CA", DAYS);

    take_host(listen, host, sizeof(host));
    if (rc == 0)
        rc = ros2i_issue_leaf(e->dir, "server", ROS2I_LEAF_SERVER, hosts,
                              is_other_address(host) ? 4 : 3, DAYS);
    return rc < 0 ? rc : make_token(e);
}

/* -- the configuration -- */

static int set(char **field, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return ros2i_fail(ENOMEM, "configuration: out of memory");
    free(*field);
    *field = copy;
    return 0;
}

static int set_path(const struct ros2d_ephemeral *e, char **field, const char *name)
{
    char path[PATH_MAX];
    int rc = path_in(e, name, path);

    return rc < 0 ? rc : set(field, path);
}

/* The data plane listens on the control plane's host, at a port that the system picks. */
static int set_listen(struct ros2d_config *config, const char *listen)
{
    char text[128];
    bool loopback;
    uint16_t port;
    int rc = set(&config->control.listen, listen);

    if (rc < 0)
        return rc;
    if (ros2d_config_address(listen, &loopback, &port) < 0)
        return ros2i_fail(
            EINVAL, "--listen %s: write HOST:PORT or [V6]:PORT, numeric; port 0 picks one", listen);
    snprintf(text, sizeof(text), "%.*s:0", (int)(strrchr(listen, ':') - listen), listen);
    return set(&config->data.listen, text);
}

/* Shared memory for who may enter the folder, where there is the plugin and the path is short enough. */
static int set_transports(const struct ros2d_ephemeral *e, struct ros2d_config *config)
{
    const struct ros2_transport_ops *ops;
    char path[PATH_MAX];
    int rc = set(&config->data.shm_dir, e->dir);

    if (rc < 0)
        return rc;
    rc = ros2i_plugin_transport("shm", &ops);
    if (rc == 0)
        rc = ros2d_config_socket(config, 0, path, sizeof(path));
    if (rc == 0)
        return set(&config->data.transport, "shm,tcp");
    ros2i_log(ROS2_LOG_INFO, "daemon", "transport shm is left out: %s", ros2i_error());
    free(config->data.shm_dir);
    config->data.shm_dir = NULL;
    return 0;
}

static int set_token(const struct ros2d_ephemeral *e, struct ros2d_config *config)
{
    struct ros2d_token_config *token;
    int rc;

    config->tokens = calloc(1, sizeof(*config->tokens));
    if (!config->tokens)
        return ros2i_fail(ENOMEM, "configuration: out of memory");
    config->tokens_count = 1;
    token = &config->tokens[0];
    rc = set(&token->name, "ephemeral");
    if (rc == 0)
        rc = set(&token->rights, "rw");
    return rc < 0 ? rc : set_path(e, &token->file, "token");
}

static int fill(const struct ros2d_ephemeral *e, struct ros2d_config *config, const char *root,
                const char *listen)
{
    int rc = set(&config->engine.root, root);

    if (rc == 0)
        rc = set_listen(config, listen);
    if (rc == 0)
        rc = set_path(e, &config->control.cert_file, "server.pem");
    if (rc == 0)
        rc = set_path(e, &config->control.key_file, "server.key");
    if (rc == 0)
        rc = set_transports(e, config);
    return rc < 0 ? rc : set_token(e, config);
}

/* -- interface -- */

int ros2d_ephemeral_create(struct ros2d_config *config, const char *root, const char *listen,
                           const char *run_dir, struct ros2d_ephemeral **ephemeral_p)
{
    struct ros2d_ephemeral *e = calloc(1, sizeof(*e));
    int rc;

    if (!e)
        return ros2i_fail(ENOMEM, "ephemeral: out of memory");
    rc = make_dir(e, run_dir);
    if (rc < 0) {
        free(e);
        return rc;
    }
    rc = make_files(e, listen);
    /* Files that were there before are not ours to remove. */
    if (rc == -EEXIST) {
        free(e);
        return rc;
    }
    if (rc == 0)
        rc = fill(e, config, root, listen);
    if (rc < 0) {
        ros2d_ephemeral_destroy(e);
        return rc;
    }
    *ephemeral_p = e;
    return 0;
}

/* For sh: in quotes when there is anything in it that a shell would take for its own. */
static void print_export(FILE *stream, const char *name, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:[]";

    if (strspn(value, plain) == strlen(value) && !strchr(value, '[')) {
        fprintf(stream, "export %s=%s\n", name, value);
        return;
    }
    fprintf(stream, "export %s='", name);
    for (; *value; value++)
        if (*value == '\'')
            fputs("'\\''", stream);
        else
            fputc(*value, stream);
    fputs("'\n", stream);
}

void ros2d_ephemeral_print(const struct ros2d_ephemeral *e, const char *address, FILE *stream)
{
    const char *port = strrchr(address, ':');
    char url[192], path[PATH_MAX];

    /* Who listens everywhere is reached here too, and the certificate names this host only as localhost. */
    if (strncmp(address, "0.0.0.0:", 8) == 0)
        snprintf(url, sizeof(url), "ros2://127.0.0.1%s", port);
    else if (strncmp(address, "[::]:", 5) == 0)
        snprintf(url, sizeof(url), "ros2://[::1]%s", port);
    else
        snprintf(url, sizeof(url), "ros2://%s", address);
    print_export(stream, "ROS2_URL", url);
    if (path_in(e, "token", path) == 0)
        print_export(stream, "ROS2_TOKEN_FILE", path);
    if (path_in(e, "ca.pem", path) == 0)
        print_export(stream, "ROS2_CA_FILE", path);
}

void ros2d_ephemeral_destroy(struct ros2d_ephemeral *e)
{
    char path[PATH_MAX];

    if (!e)
        return;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        if (path_in(e, files[i], path) == 0)
            unlink(path);
    if (e->made_dir)
        rmdir(e->dir);
    free(e);
}
