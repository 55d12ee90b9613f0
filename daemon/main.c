/* SPDX-License-Identifier: Apache-2.0 */
/* ros2d: reads its configuration, opens engine and tenant, starts the data plane, then the control plane; ends in the
 * opposite order. The main thread only waits for signals, which every other thread blocks. */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/control/server.h"
#include "daemon/data/data.h"
#include "daemon/data/engines.h"
#include "daemon/ephemeral.h"
#include "daemon/state.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define DRAIN_NS (10 * ROS2I_NS_PER_S)

const char *argp_program_version = PACKAGE_STRING;

struct arguments {
    const char *config_file, *ephemeral_dir;
    const char *listen, *data_listen, *engine_config, *layers, *layer_config, *log_level;
    bool check_config;
};

enum {
    OPT_CHECK = 0x100,
    OPT_LISTEN,
    OPT_DATA_LISTEN,
    OPT_ENGINE_CONFIG,
    OPT_LAYERS,
    OPT_LAYER_CONFIG,
    OPT_LOG_LEVEL
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "Read the configuration from FILE (YAML, see ros2d.yaml(5))", 0},
    {"check-config", OPT_CHECK, NULL, 0, "Only check the configuration", 0},
    {"ephemeral", 'e', "DIR", 0, "Serve DIR at once on loopback, with a throw-away CA and token",
     0},
    {"listen", OPT_LISTEN, "ADDRESS", 0,
     "Control plane's HOST:PORT, in place of the configured one", 1},
    {"data-listen", OPT_DATA_LISTEN, "ADDRESS", 0,
     "Data plane's HOST:PORT, in place of the configured one", 1},
    {"engine-config", OPT_ENGINE_CONFIG, "TEXT", 0, "Engine's own settings, \"key=value,...\"", 1},
    {"layers", OPT_LAYERS, "NAMES", 0, "Layers over the engine, bottom up, separated by commas", 1},
    {"layer-config", OPT_LAYER_CONFIG, "TEXT", 0, "Settings of the layers", 1},
    {"log-level", OPT_LOG_LEVEL, "LEVEL", 0, "error, warn, info or debug", 1},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case 'c':
        a->config_file = arg;
        return 0;
    case 'e':
        a->ephemeral_dir = arg;
        return 0;
    case OPT_CHECK:
        a->check_config = true;
        return 0;
    case OPT_LISTEN:
        a->listen = arg;
        return 0;
    case OPT_DATA_LISTEN:
        a->data_listen = arg;
        return 0;
    case OPT_ENGINE_CONFIG:
        a->engine_config = arg;
        return 0;
    case OPT_LAYERS:
        a->layers = arg;
        return 0;
    case OPT_LAYER_CONFIG:
        a->layer_config = arg;
        return 0;
    case OPT_LOG_LEVEL:
        a->log_level = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->config_file == !a->ephemeral_dir)
            argp_error(state, "give either --config FILE or --ephemeral DIR");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Serves files to libros2 clients, in the foreground."
           "\vSIGTERM and SIGINT end it once what is in flight has been answered; a second one "
           "ends it at once.",
};

/* -- configuration -- */

static int override(char **field, const char *value)
{
    char *copy;

    if (!value)
        return 0;
    copy = strdup(value);
    if (!copy)
        return ros2i_fail(ENOMEM, "configuration: no memory");
    free(*field);
    *field = copy;
    return 0;
}

static int apply_arguments(const struct arguments *a, struct ros2d_config *config)
{
    int rc = override(&config->control.listen, a->listen);

    if (rc == 0)
        rc = override(&config->data.listen, a->data_listen);
    if (rc == 0)
        rc = override(&config->engine.config, a->engine_config);
    if (rc == 0)
        rc = override(&config->engine.layers, a->layers);
    if (rc == 0)
        rc = override(&config->engine.layer_config, a->layer_config);
    if (rc == 0)
        rc = override(&config->log_level, a->log_level);
    return rc;
}

static int serve_directory(const char *dir, struct ros2d_config *config)
{
    int rc = override(&config->engine.root, dir);

    if (rc == 0)
        rc = override(&config->control.listen, "127.0.0.1:0");
    if (rc == 0)
        rc = override(&config->data.listen, "127.0.0.1:0");
    return rc;
}

static int load_config(const struct arguments *a, struct ros2d_config **config_p)
{
    struct ros2d_config *config = NULL;
    int rc = a->config_file ? ros2d_config_load(a->config_file, &config)
                            : ros2d_config_defaults(&config);

    if (rc < 0)
        return rc;
    if (a->ephemeral_dir)
        rc = serve_directory(a->ephemeral_dir, config);
    if (rc == 0)
        rc = apply_arguments(a, config);
    if (rc < 0) {
        ros2d_config_free(config);
        return rc;
    }
    *config_p = config;
    return 0;
}

static int set_log(const struct ros2d_config *config)
{
    enum ros2_log_level level;
    int rc = ros2i_log_level(config->log_level, &level);

    if (rc < 0)
        return rc;
    ros2i_log_sink(ros2i_log_stderr, NULL, level);
    return 0;
}

/* -- state -- */

static int add_tokens(struct ros2d_state *state)
{
    for (uint32_t i = 0; i < state->config->tokens_count; i++) {
        const struct ros2d_token_config *token = &state->config->tokens[i];
        uint32_t rights = ROS2I_RIGHT_READ;
        int64_t expiry_ns;
        char *secret;
        int rc = ros2d_config_expiry(token->expires, &expiry_ns);

        if (rc < 0)
            return rc;
        if (strcmp(token->rights, "rw") == 0)
            rights |= ROS2I_RIGHT_WRITE | ROS2I_RIGHT_APPEND;
        rc = ros2i_secret_read_file(token->file, "token", 4096, &secret);
        if (rc < 0)
            return rc;
        rc = ros2d_tokens_add(state->tokens, token->name, secret, state->tenant, rights, expiry_ns);
        ros2i_secret_free(secret);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void close_state(struct ros2d_state *state)
{
    ros2d_sessions_destroy(state->sessions);
    ros2d_handles_destroy(state->handles);
    ros2d_regions_destroy(state->regions);
    ros2d_tokens_destroy(state->tokens);
    ros2d_tenant_destroy(state->tenant);
}

static int open_state(const struct ros2d_config *config, const struct ros2d_engines *engines,
                      struct ros2d_state *state)
{
    unsigned top = engines->count - 1;
    int rc;

    state->config = config;
    rc = ros2d_tenant_create("default", engines->ops[top], engines->engine[top],
                             config->engine.root, &state->tenant);
    if (rc < 0)
        return rc;
    state->tenant->limits.sessions.max = config->limits.sessions;
    state->tenant->limits.open_files.max = config->limits.open_files;
    state->tenant->limits.regions.max = config->limits.regions;
    state->tenant->limits.registered_bytes.max = config->limits.registered_bytes;
    rc = ros2d_tokens_create(&state->tokens);
    if (rc == 0)
        rc = add_tokens(state);
    if (rc == 0)
        rc = ros2d_handles_create(config->limits.open_files, &state->handles);
    if (rc == 0)
        rc = ros2d_regions_create(config->limits.regions, &state->regions);
    if (rc == 0)
        rc = ros2d_sessions_create(config->session_lifetime_ms * ROS2I_NS_PER_MS, state->handles,
                                   state->regions, &state->sessions);
    if (rc < 0)
        close_state(state);
    return rc;
}

/* -- running -- */

static void say_ready(const struct ros2d_server *server, const struct ros2d_ephemeral *ephemeral)
{
    const char *address = ros2d_server_address(server);

    if (ephemeral)
        printf(
            "export ROS2_URL=ros2://%s\nexport ROS2_TOKEN_FILE=%s\nexport ROS2_CA_FILE=%s\nready\n",
            address, ephemeral->token_file, ephemeral->ca_file);
    else
        printf("ready %s\n", address);
    fflush(stdout); /* whoever started us waits for this line */
}

static void wait_for_signal(const sigset_t *signals)
{
    int signal_number;

    while (sigwait(signals, &signal_number) != 0)
        ;
    ros2i_log(ROS2_LOG_INFO, "main", "draining signal %s", sigabbrev_np(signal_number));
}

static int serve(struct ros2d_state *state, const sigset_t *signals,
                 const struct ros2d_ephemeral *ephemeral)
{
    struct ros2d_data *data;
    struct ros2d_server *server;
    uint64_t deadline_ns;
    int rc = ros2d_data_start(state, &data);

    if (rc < 0)
        return rc;
    rc = ros2d_server_start(state, &server);
    if (rc < 0) {
        ros2d_data_stop(data, 0);
        return rc;
    }
    say_ready(server, ephemeral);
    wait_for_signal(signals);
    /* The next signal is not waited for: it ends the process as if nobody had asked. */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, signals, NULL);
    deadline_ns = ros2i_now_ns() + DRAIN_NS;
    ros2d_server_stop(server, deadline_ns);
    ros2d_sessions_close_all(state->sessions);
    ros2d_data_stop(data, deadline_ns);
    return 0;
}

static int run(const struct ros2d_config *config, const sigset_t *signals,
               const struct ros2d_ephemeral *ephemeral)
{
    struct ros2d_state state = {0};
    struct ros2d_engines engines;
    int rc = ros2d_engines_open(config, &engines);

    if (rc < 0)
        return rc;
    rc = open_state(config, &engines, &state);
    if (rc == 0) {
        rc = serve(&state, signals, ephemeral);
        close_state(&state);
    }
    ros2d_engines_close(&engines);
    return rc;
}

/* Standard descriptors that the caller closed would be given to the first socket. */
static void fill_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static int report(int rc)
{
    fprintf(stderr, "ros2d: %s\n", ros2i_error());
    return rc == -EINVAL || rc == -ENOENT ? EX_CONFIG : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct ros2d_config *config = NULL;
    struct ros2d_ephemeral ephemeral;
    sigset_t signals;
    int rc;

    fill_standard_descriptors();
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    umask(0); /* modes are the clients' */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* inherited by all threads */
    rc = load_config(&arguments, &config);
    if (rc < 0)
        return report(rc);
    rc = set_log(config);
    if (rc == 0 && arguments.ephemeral_dir)
        rc = ros2d_ephemeral_make(&ephemeral, config);
    if (rc < 0) {
        ros2d_config_free(config);
        return report(rc);
    }
    rc = ros2d_config_check(config);
    if (rc == 0 && arguments.check_config)
        printf("%s: the configuration is good\n",
               arguments.config_file ? arguments.config_file : "ros2d");
    else if (rc == 0)
        rc = run(config, &signals, arguments.ephemeral_dir ? &ephemeral : NULL);
    if (arguments.ephemeral_dir)
        ros2d_ephemeral_remove(&ephemeral);
    rc = rc < 0 ? report(rc) : 0;
    ros2d_config_free(config);
    return rc;
}
