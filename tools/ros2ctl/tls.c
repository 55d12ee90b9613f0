/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl tls: a CA of one's own, with a certificate for ros2d and one for a client. */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/issue.h"
#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/parse.h"
#include "tools/ros2ctl/verbs.h"

#define HOSTS_MAX 64

struct tls {
    struct ctl *ctl;
    const char *command;
    const char *directory, *client;
    const char *hosts[HOSTS_MAX];
    size_t host_count;
    unsigned days;
};

enum { KEY_DIRECTORY = CTL_KEY_VERB, KEY_HOST, KEY_CLIENT, KEY_DAYS };

static const struct argp_option options[] = {
    {"dir", KEY_DIRECTORY, "DIR", 0, "Where to write; made when it is not there", 0},
    {"host", KEY_HOST, "HOST", 0,
     "Name or address by which clients reach the daemon; may be given again (default: localhost, "
     "127.0.0.1, ::1)",
     0},
    {"client", KEY_CLIENT, "NAME", 0, "Name of the client certificate (default: client)", 0},
    {"days", KEY_DAYS, "N", 0, "How long all of them are valid (default: 365)", 0},
    {0},
};

static void add_host(struct tls *tls, const char *host, struct argp_state *state)
{
    if (host[0] == '\0')
        argp_error(state, "--host: give a name or an address");
    if (tls->host_count == HOSTS_MAX)
        argp_error(state, "--host: at most %d hosts", HOSTS_MAX);
    tls->hosts[tls->host_count++] = host;
}

/* It becomes a file name. */
static bool is_plain_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(name);

    return len > 0 && len <= 64 && strspn(name, letters) == len && strcmp(name, "ca") != 0 &&
           strcmp(name, "server") != 0;
}

static void check(const struct tls *tls, struct argp_state *state)
{
    if (!tls->command)
        argp_error(state, "give what to do: init");
    if (!tls->directory)
        argp_error(state, "give --dir DIR, where to write");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct tls *tls = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        /* The global options mean nothing here, but --json and friends may stand in front. */
        state->child_inputs[0] = tls->ctl;
        return 0;
    case KEY_DIRECTORY:
        tls->directory = arg;
        return 0;
    case KEY_HOST:
        add_host(tls, arg, state);
        return 0;
    case KEY_CLIENT:
        if (!is_plain_name(arg))
            argp_error(state,
                       "--client %s: give up to 64 letters, digits, - and _, not ca or server",
                       arg);
        tls->client = arg;
        return 0;
    case KEY_DAYS:
        if (!ctl_parse_count(arg, 1, 36500, &tls->days))
            argp_error(state, "--days %s: give a number from 1 to 36500", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (tls->command || strcmp(arg, "init") != 0)
            argp_error(state, "'%s': the only thing to do is init", arg);
        tls->command = arg;
        return 0;
    case ARGP_KEY_SUCCESS:
        check(tls, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int fail(const struct ctl *ctl)
{
    return ctl_error(ctl, "%s", ros2i_error());
}

static int print(const struct tls *tls)
{
    const char *dir = tls->directory, *client = tls->client;

    if (tls->ctl->json) {
        json_t *document = json_object();
        if (document)
            ctl_json_set_bytes(document, "dir", dir);
        return ctl_json_print(tls->ctl, document);
    }
    printf("%s/ca.pem, ca.key            the CA; keep ca.key off the daemon's machine\n", dir);
    printf(
        "%s/server.pem, server.key    for ros2d: cert_file, key_file; ca.pem as client_ca_file\n",
        dir);
    printf("%s/%s.pem, %s.key    for clients: --cert-file, --key-file; ca.pem as --ca-file\n", dir,
           client, client);
    return CTL_OK;
}

static int init(struct tls *tls)
{
    int days = (int)tls->days;

    if (tls->host_count == 0) {
        tls->hosts[tls->host_count++] = "localhost";
        tls->hosts[tls->host_count++] = "127.0.0.1";
        tls->hosts[tls->host_count++] = "::1";
    }
    if (ros2i_issue_ca(tls->directory, "ros2 CA", days) < 0)
        return fail(tls->ctl);
    if (ros2i_issue_leaf(tls->directory, "server", ROS2I_LEAF_SERVER, tls->hosts, tls->host_count,
                         days) < 0)
        return fail(tls->ctl);
    if (ros2i_issue_leaf(tls->directory, tls->client, ROS2I_LEAF_CLIENT, NULL, 0, days) < 0)
        return fail(tls->ctl);
    return print(tls);
}

int ctl_tls(struct ctl *ctl, int argc, char **argv)
{
    struct tls tls = {.ctl = ctl, .client = "client", .days = 365};
    const struct argp argp = {
        options,
        parse,
        "init",
        "Makes a CA, a certificate for ros2d and one for a client, each with its "
        "key. Nothing that is there is overwritten.",
        CTL_GLOBAL_CHILDREN,
        0,
        0};

    argp_parse(&argp, argc, argv, 0, NULL, &tls);
    return init(&tls);
}
