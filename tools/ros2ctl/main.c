/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl: the table of verbs, the options that all of them share, the connection.
 *
 * Global options stand in front of the verb or behind it; the last one wins. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/ctl.h"
#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/parse.h"
#include "tools/ros2ctl/verbs.h"

const char *argp_program_version = "ros2ctl " ROS2_VERSION;

static const struct verb {
    const char *name;
    ctl_verb_fn *run;
    const char *args;
    const char *summary;
} verbs[] = {
    {"ls", ctl_ls, "[PATH...]", "list directories"},
    {"cat", ctl_cat, "PATH...", "write files to standard output"},
    {"put", ctl_put, "SOURCE... DEST", "copy local files into the store"},
    {"get", ctl_get, "SOURCE... DEST", "copy files out of the store"},
    {"stat", ctl_stat, "PATH...", "show attributes"},
    {"rm", ctl_rm, "PATH...", "remove files and directories"},
    {"mkdir", ctl_mkdir, "PATH...", "make directories"},
    {"mv", ctl_mv, "SOURCE... DEST", "rename"},
    {"sum", ctl_sum, "PATH...", "SHA-256 of files, printed as sha256sum does"},
    {"bench", ctl_bench, "[WORKLOAD]", "measure reads and writes"},
    {"ping", ctl_ping, "", "measure round trips to the daemon"},
    {"transports", ctl_transports, "", "show the ways that file data can take"},
    {"doctor", ctl_doctor, "", "look for what keeps a client from working"},
    {"tls", ctl_tls, "init", "make a CA, server and client certificates"},
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static const struct argp_option global_options[] = {
    {"url", CTL_KEY_URL, "URL", 0, "The daemon: ros2://HOST[:PORT]", 0},
    {"token-file", CTL_KEY_TOKEN_FILE, "FILE", 0, "Its first line is the bearer token", 0},
    {"ca-file", CTL_KEY_CA_FILE, "FILE", 0, "CA that the daemon's certificate must be from", 0},
    {"cert-file", CTL_KEY_CERT_FILE, "FILE", 0, "Client certificate, for mutual TLS", 0},
    {"key-file", CTL_KEY_KEY_FILE, "FILE", 0, "Its key", 0},
    {"server-name", CTL_KEY_SERVER_NAME, "NAME", 0,
     "Name in the daemon's certificate (default: the URL's host)", 0},
    {"plaintext", CTL_KEY_PLAINTEXT, 0, 0, "No TLS; only to a loopback address", 0},
    {"no-checksum", CTL_KEY_NO_CHECKSUM, 0, 0, "Leave the CRC-32C of payloads out", 0},
    {"transport", CTL_KEY_TRANSPORT, "NAMES", 0,
     "How file data travels: shm, tcp, or a list by preference (default: as the daemon prefers)",
     0},
    {"shm-dir", CTL_KEY_SHM_DIR, "DIR", 0,
     "Where the daemon's data.shm_dir is seen here (default: the same path)", 0},
    {"networks", CTL_KEY_NETWORKS, "LIST", 0,
     "Where file data may go: subnets and interfaces, like 10.0.0.0/8,eth0 (default: anywhere)", 0},
    {"timeout", CTL_KEY_TIMEOUT, "SECONDS", 0, "Deadline of each call (default: 30)", 0},
    {"json", CTL_KEY_JSON, 0, 0, "Print JSON", 0},
    {0},
};

static error_t parse_global(int key, char *arg, struct argp_state *state)
{
    struct ctl *ctl = state->input;

    switch (key) {
    case CTL_KEY_URL:
        ctl->url = arg;
        return 0;
    case CTL_KEY_TOKEN_FILE:
        ctl->connect.token_file = arg;
        return 0;
    case CTL_KEY_CA_FILE:
        ctl->connect.ca_file = arg;
        return 0;
    case CTL_KEY_CERT_FILE:
        ctl->connect.cert_file = arg;
        return 0;
    case CTL_KEY_KEY_FILE:
        ctl->connect.key_file = arg;
        return 0;
    case CTL_KEY_SERVER_NAME:
        ctl->connect.server_name = arg;
        return 0;
    case CTL_KEY_PLAINTEXT:
        ctl->connect.flags |= ROS2_CONNECT_PLAINTEXT;
        return 0;
    case CTL_KEY_NO_CHECKSUM:
        ctl->connect.checksum = -1;
        return 0;
    case CTL_KEY_TRANSPORT:
        ctl->connect.transport = arg;
        return 0;
    case CTL_KEY_SHM_DIR:
        ctl->connect.shm_dir = arg;
        return 0;
    case CTL_KEY_NETWORKS:
        ctl->connect.networks = arg;
        return 0;
    case CTL_KEY_TIMEOUT:
        if (!ctl_parse_seconds(arg, 86400, &ctl->connect.timeout_ns))
            argp_error(state, "--timeout %s: give seconds above 0, at most 86400", arg);
        return 0;
    case CTL_KEY_JSON:
        ctl->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ctl_global_argp = {global_options, parse_global, 0, 0, 0, 0, 0};

int ctl_connect(struct ctl *ctl)
{
    if (ctl->client)
        return CTL_OK;
    if (ros2_connect(ctl->url, &ctl->connect, &ctl->client) < 0)
        return ctl_fail_ros2(ctl);
    return CTL_OK;
}

void ctl_disconnect(struct ctl *ctl)
{
    ros2_disconnect(ctl->client);
    ctl->client = NULL;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static void print_verbs(void)
{
    printf("Usage: ros2ctl [OPTION...] VERB [ARGUMENT...]\n"
           "Works with the files of a ros2d store.\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        printf("  %-6s %-15s %s\n", verbs[i].name, verbs[i].args, verbs[i].summary);
    printf("  %-6s %-15s %s\n\n", "help", "[VERB]", "this list, or the options of a verb");
    printf("Options stand in front of the verb or behind it: ros2ctl ls --help lists them.\n"
           "Exit status: 0 done, 1 failed, 2 wrong usage. Manual: ros2ctl(1).\n");
}

/* What is left of the command line once the options in front of the verb are taken. */
struct rest {
    struct ctl *ctl;
    int first; /* index of the verb; 0: none */
    bool help;
};

static const struct argp_option top_options[] = {
    {"help", '?', 0, 0, "Give this help list", 0},
    {"usage", CTL_KEY_VERB, 0, OPTION_HIDDEN, 0, 0},
    {"version", 'V', 0, 0, "Print program version", 0},
    {0},
};

static error_t parse_top(int key, char *arg, struct argp_state *state)
{
    struct rest *rest = state->input;

    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = rest->ctl;
        return 0;
    case '?':
    case CTL_KEY_VERB:
        rest->help = true;
        return 0;
    case 'V':
        puts(argp_program_version);
        exit(ctl_close_stdout(rest->ctl, CTL_OK));
    case ARGP_KEY_ARG:
        rest->first = state->next - 1;
        state->next = state->argc;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run_verb(struct ctl *ctl, const struct verb *verb, int argc, char **argv)
{
    char name[32];

    snprintf(name, sizeof(name), "ros2ctl %s", verb->name);
    argv[0] = name;
    ctl->verb = verb->name;
    int code = verb->run(ctl, argc, argv);
    ctl_disconnect(ctl);
    return ctl_close_stdout(ctl, code);
}

static int run_help(struct ctl *ctl, int argc, char **argv)
{
    char help[] = "--help";

    if (argc < 2) {
        print_verbs();
        return ctl_close_stdout(ctl, CTL_OK);
    }
    const struct verb *verb = find_verb(argv[1]);
    if (!verb) {
        ctl_error(ctl, "help: no verb '%s'; ros2ctl help lists them", argv[1]);
        return CTL_USAGE;
    }
    char *args[] = {argv[1], help, NULL};
    return run_verb(ctl, verb, 2, args);
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.connect = {.size = sizeof(ctl.connect), .client_name = "ros2ctl"}};
    struct rest rest = {.ctl = &ctl};
    const struct argp_child children[] = {{&ctl_global_argp, 0, 0, 0}, {0}};
    const struct argp top = {top_options, parse_top, "VERB [ARGUMENT...]", 0, children, 0, 0};
    char name[] = "ros2ctl";

    /* Names are bytes, numbers have points: the C locale, always. */
    argp_err_exit_status = CTL_USAGE;
    argv[0] = name;
    if (argp_parse(&top, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &rest) != 0)
        return CTL_USAGE;
    if (rest.help) {
        print_verbs();
        return ctl_close_stdout(&ctl, CTL_OK);
    }
    if (!rest.first) {
        ctl_error(&ctl, "no verb given; ros2ctl help lists them");
        return CTL_USAGE;
    }
    argc -= rest.first;
    argv += rest.first;
    if (strcmp(argv[0], "help") == 0)
        return run_help(&ctl, argc, argv);
    const struct verb *verb = find_verb(argv[0]);
    if (!verb) {
        ctl_error(&ctl, "no verb '%s'; ros2ctl help lists them", argv[0]);
        return CTL_USAGE;
    }
    return run_verb(&ctl, verb, argc, argv);
}
