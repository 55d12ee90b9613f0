/* SPDX-License-Identifier: Apache-2.0 */
/* Making a control: reads and checks certificates and token once, so that what is wrong with them is said here and not
 * by a failing handshake. Its strings are fixed afterwards; a channel is made from them in each life of gRPC. */
#include "config.h"

#include "lib/control/credentials.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/pem.h"
#include "lib/base/secret.h"
#include "lib/base/whole_file.h"

#define PEM_MAX     (1u << 20)
#define TOKEN_MAX   4096u
#define MESSAGE_MAX (16 << 20)

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(host, "localhost") == 0;
}

/* Numeric addresses go past the resolver: it would look for them in the DNS. */
static int set_target(struct ros2i_control *control, const char *host, uint16_t port)
{
    struct in_addr v4;
    struct in6_addr v6;
    int n, m;

    if (!host || !*host || strpbrk(host, "/[]% \t\r\n") || port == 0)
        return ros2i_fail(EINVAL, "host \"%s\", port %u: not an address to connect to",
                          host ? host : "", port);
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        n = asprintf(&control->target, "ipv6:[%s]:%u", host, port);
        m = asprintf(&control->peer, "[%s]:%u", host, port);
    } else {
        bool numeric = inet_pton(AF_INET, host, &v4) == 1;
        n = asprintf(&control->target, "%s%s:%u", numeric ? "ipv4:" : "dns:///", host, port);
        m = asprintf(&control->peer, "%s:%u", host, port);
    }
    if (n < 0)
        control->target = NULL;
    if (m < 0)
        control->peer = NULL;
    return n < 0 || m < 0 ? ros2i_fail(ENOMEM, "no memory for an address") : 0;
}

static int set_token(struct ros2i_control *control, const char *token)
{
    size_t len = token ? strlen(token) : 0;

    if (!token)
        return 0;
    if (len == 0 || len > TOKEN_MAX)
        return ros2i_fail(EINVAL, "the token has %zu bytes; 1 to %u are allowed", len, TOKEN_MAX);
    for (size_t i = 0; i < len; i++) {
        if (token[i] <= ' ' || token[i] > '~')
            return ros2i_fail(
                EINVAL,
                "the token's byte %zu is not a visible ASCII character; is it the right file?", i);
    }
    size_t room = len + sizeof "Bearer ";
    control->authorization = malloc(room);
    if (!control->authorization)
        return ros2i_fail(ENOMEM, "no memory for the token");
    snprintf(control->authorization, room, "Bearer %s", token);
    return 0;
}

/* --- certificates ---------------------------------------------------------------------------------------- */

static int read_certificates(struct ros2i_control *control,
                             const struct ros2i_control_options *options)
{
    size_t len;
    int rc;

    if (options->ca_file) {
        rc = ros2i_whole_file_read(options->ca_file, "CA", PEM_MAX, &control->ca, &len);
        if (rc == 0)
            rc = ros2i_pem_check_certificate(control->ca, "CA", options->ca_file);
        if (rc < 0)
            return rc;
    }
    if (!options->cert_file && !options->key_file)
        return 0;
    if (!options->cert_file || !options->key_file)
        return ros2i_fail(
            EINVAL, "a client certificate needs both files, certificate and key; the %s is missing",
            options->cert_file ? "key" : "certificate");
    rc = ros2i_whole_file_read(options->cert_file, "client certificate", PEM_MAX, &control->cert,
                               &len);
    if (rc == 0)
        rc = ros2i_whole_file_read_secret(options->key_file, "client key", PEM_MAX, &control->key,
                                          &len);
    return rc < 0 ? rc
                  : ros2i_pem_check_pair(control->cert, control->key, "client", options->cert_file,
                                         options->key_file);
}

/* --- create, destroy ------------------------------------------------------------------------------------- */

static int check_plaintext(const struct ros2i_control_options *options)
{
    if (!options->plaintext)
        return 0;
    if (!options->host || !is_loopback(options->host))
        return ros2i_fail(
            EINVAL,
            "host %s: without TLS only a loopback address may be used; token and session secret "
            "would be open to the network",
            options->host ? options->host : "");
    if (options->ca_file || options->cert_file || options->key_file)
        return ros2i_fail(
            EINVAL, "host %s: certificates are given, but TLS is turned off; drop one of the two",
            options->host);
    return 0;
}

static void free_control(struct ros2i_control *control)
{
    ros2i_secret_free(control->authorization);
    ros2i_secret_free(control->key);
    free(control->cert);
    free(control->ca);
    free(control->client_name);
    free(control->server_name);
    free(control->peer);
    free(control->target);
    ros2i_wipe(control->session_id, sizeof control->session_id);
    free(control);
}

/* In a forked child: ids of requests must not meet the parent's. Drawing the new nonce waits for the first use. */
static void forked(struct ros2i_grpc_client *client)
{
    struct ros2i_control *control = (struct ros2i_control *)client; /* its first member */

    control->has_nonce = false;
}

static int copy_name(const char *name, char **copy_p)
{
    if (!name)
        return 0;
    *copy_p = strdup(name);
    return *copy_p ? 0 : ros2i_fail(ENOMEM, "no memory for a name");
}

int ros2i_control_create(const struct ros2i_control_options *options,
                         struct ros2i_control **control_p)
{
    struct ros2i_control *control = calloc(1, sizeof *control);
    int rc;

    if (!control)
        return ros2i_fail(ENOMEM, "no memory for a control connection");
    control->plaintext = options->plaintext;
    rc = check_plaintext(options);
    if (rc == 0)
        rc = set_target(control, options->host, options->port);
    if (rc == 0)
        rc = set_token(control, options->token);
    if (rc == 0)
        rc = read_certificates(control, options);
    if (rc == 0)
        rc = copy_name(options->server_name, &control->server_name);
    if (rc == 0)
        rc = copy_name(options->client_name, &control->client_name);
    if (rc < 0) {
        free_control(control);
        return rc;
    }
    control->grpc.make_channel = ros2i_credentials_channel;
    control->grpc.forked = forked;
    ros2i_runtime_add(&control->grpc);
    *control_p = control;
    return 0;
}

void ros2i_control_destroy(struct ros2i_control *control)
{
    if (!control)
        return;
    ros2i_runtime_remove(&control->grpc);
    free_control(control);
}

/* --- channel --------------------------------------------------------------------------------------------- */

static grpc_arg integer_arg(const char *key, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static grpc_arg string_arg(const char *key, char *value)
{
    return (grpc_arg){
        .type = GRPC_ARG_STRING, .key = (char *)(uintptr_t)key, .value.string = value};
}

static grpc_channel_credentials *make_credentials(const struct ros2i_control *control)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = control->key, .cert_chain = control->cert};

    if (control->plaintext)
        return grpc_insecure_credentials_create();
    return grpc_ssl_credentials_create_ex(control->ca, control->cert ? &pair : NULL, NULL, NULL);
}

grpc_channel *ros2i_credentials_channel(struct ros2i_grpc_client *client)
{
    struct ros2i_control *control = (struct ros2i_control *)client; /* its first member */
    grpc_arg arg[] = {
        /* A dead peer is noticed in 15 s while calls run; without calls there is nothing to notice. */
        integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 10000),
        integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000),
        integer_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, MESSAGE_MAX),
        integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, MESSAGE_MAX),
        /* Retries are ours: they know which calls may be sent twice. */
        integer_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100),
        integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                    5000), /* time for one connect and handshake */
        integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000),
        /* Storage is reached directly, with what the caller said and nothing from the DNS or http_proxy. */
        integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        integer_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        /* Two clients in one process share no connection. */
        integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        string_arg(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, control->server_name),
    };
    grpc_channel_args args = {.num_args = sizeof arg / sizeof *arg, .args = arg};

    if (!control->server_name || control->plaintext)
        args.num_args--;
    grpc_channel_credentials *credentials = make_credentials(control);
    grpc_channel *channel = grpc_channel_create(control->target, credentials, &args);
    grpc_channel_credentials_release(credentials);
    return channel;
}
