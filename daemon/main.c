/* SPDX-License-Identifier: Apache-2.0 */
/* ros2d in the foreground: reads the configuration, opens the engine, starts data plane and control plane, waits for a
 * signal, drains. Signals are blocked in all threads but taken by this one. */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control/server.h"
#include "daemon/data/data.h"
#include "daemon/data/engines.h"
#include "daemon/descriptors.h"
#include "daemon/ephemeral.h"
#include "daemon/metrics.h"
#include "daemon/state.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"
#include "ros2/version.h"

/* For each plane: calls that take all of theirs leave the data plane its own. */
#define DRAIN_NS      (10 * ROS2I_NS_PER_S)
#define TOKEN_MAX_LEN 4096

/* -- command line -- */

struct options {
    const char *config, *ephemeral, *listen, *run_dir, *log_level;
    const char *engine_config, *layers, *layer_config;
    bool check;
};

enum {
    KEY_CHECK = 256,
    KEY_EPHEMERAL,
    KEY_LISTEN,
    KEY_ENGINE_CONFIG,
    KEY_LAYERS,
    KEY_LAYER_CONFIG,
    KEY_RUN_DIR,
    KEY_LOG_LEVEL
};

static const struct argp_option option_table[] = {
    {"config", 'c', "FILE", 0, "Serve as FILE says (see docs/ros2d.yaml)", 0},
    {"check-config", KEY_CHECK, NULL, 0, "Only check the configuration and the files that it names",
     0},
    {"ephemeral", KEY_EPHEMERAL, "DIR", 0,
     "Serve DIR with a certificate and a token made for this run; prints the environment that "
     "clients need",
     0},
    {"listen", KEY_LISTEN, "ADDRESS", 0, "Ephemeral: the control plane's address (127.0.0.1:0)", 1},
    {"run-dir", KEY_RUN_DIR, "DIR", 0,
     "Ephemeral: where certificate and token go (a new folder in $XDG_RUNTIME_DIR or /tmp)", 1},
    {"engine-config", KEY_ENGINE_CONFIG, "TEXT", 0, "In place of the configuration's engine.config",
     2},
    {"layers", KEY_LAYERS, "NAMES", 0, "In place of engine.layers", 2},
    {"layer-config", KEY_LAYER_CONFIG, "TEXT", 0, "In place of engine.layer_config", 2},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warn, info or debug, in place of log_level",
     2},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'c':
        o->config = arg;
        return 0;
    case KEY_CHECK:
        o->check = true;
        return 0;
    case KEY_EPHEMERAL:
        o->ephemeral = arg;
        return 0;
    case KEY_LISTEN:
        o->listen = arg;
        return 0;
    case KEY_RUN_DIR:
        o->run_dir = arg;
        return 0;
    case KEY_ENGINE_CONFIG:
        o->engine_config = arg;
        return 0;
    case KEY_LAYERS:
        o->layers = arg;
        return 0;
    case KEY_LAYER_CONFIG:
        o->layer_config = arg;
        return 0;
    case KEY_LOG_LEVEL:
        o->log_level = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s': ros2d takes options only", arg);
        return EINVAL;
    case ARGP_KEY_SUCCESS:
        if (!o->config == !o->ephemeral)
            argp_error(state, "give either --config FILE or --ephemeral DIR");
        if (o->ephemeral && o->check)
            argp_error(state, "--check-config goes with --config");
        if (o->config && (o->listen || o->run_dir))
            argp_error(state,
                       "--listen and --run-dir go with --ephemeral; a configuration has its own");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* -- what is made and unmade -- */

struct daemon {
    struct ros2d_config *config;
    struct ros2d_ephemeral *ephemeral;
    struct ros2d_engines *engines;
    uint32_t open_files; /* at most */
    struct ros2d_state state;
    struct ros2d_data *data;
    struct ros2d_server *server;
};

static int override(char **field, const char *text)
{
    char *copy;

    if (!text)
        return 0;
    copy = strdup(text);
    if (!copy)
        return ros2i_fail(ENOMEM, "out of memory");
    free(*field);
    *field = copy;
    return 0;
}

static int load(struct daemon *d, const struct options *o)
{
    enum ros2_log_level level;
    int rc =
        o->config ? ros2d_config_load(o->config, &d->config) : ros2d_config_defaults(&d->config);

    if (rc < 0)
        return rc;
    rc = override(&d->config->engine.config, o->engine_config);
    if (rc == 0)
        rc = override(&d->config->engine.layers, o->layers);
    if (rc == 0)
        rc = override(&d->config->engine.layer_config, o->layer_config);
    if (rc == 0)
        rc = override(&d->config->log_level, o->log_level);
    if (rc == 0)
        rc = ros2i_log_level(d->config->log_level, &level);
    if (rc < 0)
        return rc;
    ros2i_log_sink(ros2i_log_stderr, NULL, level);
    if (o->ephemeral)
        rc = ros2d_ephemeral_create(d->config, o->ephemeral, o->listen ? o->listen : "127.0.0.1:0",
                                    o->run_dir, &d->ephemeral);
    return rc < 0 ? rc : ros2d_config_check(d->config);
}

static int open_tenant(struct daemon *d)
{
    const struct ros2d_config *config = d->config;
    struct ros2d_limits *limits;
    int rc = ros2d_engines_open(config, &d->engines);

    if (rc < 0)
        return rc;
    rc = ros2d_tenant_create("default", ros2d_engines_ops(d->engines),
                             ros2d_engines_engine(d->engines), config->engine.root,
                             &d->state.tenant);
    if (rc < 0)
        return rc;
    limits = &d->state.tenant->limits;
    limits->sessions.max = config->limits.sessions;
    limits->open_files.max = d->open_files;
    limits->regions.max = config->limits.regions;
    limits->registered_bytes.max = config->limits.registered_bytes;
    return 0;
}

static int add_token(struct daemon *d, const struct ros2d_token_config *token)
{
    uint32_t rights =
        ROS2I_RIGHT_READ |
        (strcmp(token->rights, "rw") == 0 ? ROS2I_RIGHT_WRITE | ROS2I_RIGHT_APPEND : 0);
    int64_t expiry_ns;
    char *secret;
    int rc = ros2d_config_expiry(token->expires, &expiry_ns);

    if (rc == 0)
        rc = ros2i_secret_read_file(token->file, "token", TOKEN_MAX_LEN, &secret);
    if (rc < 0)
        return rc;
    rc = ros2d_tokens_add(d->state.tokens, token->name, secret, d->state.tenant, rights, expiry_ns);
    ros2i_secret_free(secret);
    return rc;
}

static int open_tables(struct daemon *d)
{
    const struct ros2d_config *config = d->config;
    uint64_t lifetime_ns = config->session_lifetime_ms * ROS2I_NS_PER_MS;
    int rc = ros2d_tokens_create(&d->state.tokens);

    for (uint32_t i = 0; rc == 0 && i < config->tokens_count; i++)
        rc = add_token(d, &config->tokens[i]);
    if (rc == 0)
        rc = ros2d_handles_create(d->open_files, &d->state.handles);
    if (rc == 0)
        rc = ros2d_regions_create(config->limits.regions, &d->state.regions);
    if (rc < 0)
        return rc;
    return ros2d_sessions_create(lifetime_ns, d->state.handles, d->state.regions,
                                 &d->state.sessions);
}

static int start(struct daemon *d)
{
    int rc;

    d->state.config = d->config;
    /* Engine posix opens a file a second time for direct reads. */
    const char *engine = d->config->engine.config;
    d->open_files = ros2d_descriptors_for_files(d->config->limits.open_files,
                                                engine && strstr(engine, "direct=reads") ? 2 : 1);
    rc = open_tenant(d);
    if (rc == 0)
        rc = open_tables(d);
    if (rc == 0)
        rc = ros2d_data_start(&d->state, &d->data);
    return rc < 0 ? rc : ros2d_server_start(&d->state, &d->server);
}

/* Whatever start() got to. */
static void stop(struct daemon *d)
{
    if (d->server)
        ros2d_server_stop(d->server, ros2i_now_ns() + DRAIN_NS);
    if (d->data) {
        ros2d_metrics_log(&d->state, d->data);
        ros2d_data_stop(d->data, ros2i_now_ns() + DRAIN_NS);
    }
    ros2d_sessions_destroy(d->state.sessions);
    ros2d_handles_destroy(d->state.handles);
    ros2d_regions_destroy(d->state.regions);
    ros2d_tokens_destroy(d->state.tokens);
    ros2d_tenant_destroy(d->state.tenant);
    ros2d_engines_close(d->engines);
}

/* -- signals -- */

static sigset_t handled;

static void block_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &handled, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a write over RLIMIT_FSIZE is its client's EFBIG */
}

/* Until SIGTERM or SIGINT. From then on a second one ends the process as it does by default. SIGUSR1 stays blocked: by
 * default it would end the process too, and whoever asks for figures does not want that. */
static void wait_for_end(const struct daemon *d)
{
    sigset_t ending = handled;
    int signal = 0;

    while (sigwait(&handled, &signal) == 0 && signal == SIGUSR1)
        ros2d_metrics_log(&d->state, d->data);
    ros2i_log(ROS2_LOG_INFO, "daemon", "draining signal %d", signal);
    sigdelset(&ending, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
}

/* -- main -- */

static void announce(const struct daemon *d)
{
    const char *address = ros2d_server_address(d->server);

    if (d->ephemeral) {
        ros2d_ephemeral_print(d->ephemeral, address, stdout);
        puts("ready");
    } else {
        printf("ready %s\n", address);
    }
    fflush(stdout);
    ros2i_log(ROS2_LOG_INFO, "daemon", "ready address %s root %s engine %s", address,
              d->config->engine.root, d->config->engine.name);
}

static int run(struct daemon *d, const struct options *o)
{
    int rc = load(d, o);

    if (rc < 0)
        return rc;
    if (o->check) {
        printf("%s: ok\n", o->config);
        return 0;
    }
    rc = start(d);
    if (rc == 0) {
        announce(d);
        wait_for_end(d);
    }
    return rc;
}

int main(int argc, char **argv)
{
    const struct argp argp = {option_table,
                              parse,
                              NULL,
                              "Serves a directory to libros2 clients. Runs in the foreground and "
                              "logs to stderr; SIGTERM and SIGINT end it after "
                              "what is in flight (a second one at once), SIGUSR1 logs its figures.",
                              NULL,
                              NULL,
                              NULL};
    struct options options = {0};
    struct daemon daemon = {0};

    argp_program_version = "ros2d (libros2) " ROS2_VERSION;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    umask(0); /* modes of files are the clients' to choose */
    block_signals();
    ros2d_descriptors_raise();
    int rc = run(&daemon, &options);
    if (rc < 0)
        fprintf(stderr, "ros2d: %s\n", ros2i_error());
    stop(&daemon);
    ros2d_ephemeral_destroy(daemon.ephemeral);
    ros2d_config_free(daemon.config);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
