/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control plane listens. Without TLS it listens on loopback only, whatever the config's own check has said. */
#include "config.h"

#include "daemon/control/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grpc/grpc_security.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/pem.h"
#include "lib/base/secret.h"
#include "lib/base/whole_file.h"

#define PEM_MAX  (1u << 20)
#define HOST_MAX 128

/* Splits "HOST:PORT" or "[V6]:PORT". */
static int split(const char *listen_on, char host[HOST_MAX], char port[8])
{
    const char *colon = listen_on ? strrchr(listen_on, ':') : NULL;
    const char *start = listen_on, *end = colon;

    if (colon && listen_on[0] == '[' && colon > listen_on + 1 && colon[-1] == ']') {
        start++;
        end--;
    }
    if (!colon || end <= start || end - start >= HOST_MAX || strlen(colon + 1) == 0 ||
        strlen(colon + 1) > 5)
        return ros2i_fail(EINVAL, "control.listen: \"%s\" is not HOST:PORT",
                          listen_on ? listen_on : "");
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    strcpy(port, colon + 1);
    return 0;
}

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

static int plaintext_credentials(const struct ros2d_config *config,
                                 grpc_server_credentials **credentials_p)
{
    char host[HOST_MAX], port[8];
    int rc = split(config->control.listen, host, port);

    if (rc < 0)
        return rc;
    if (!is_loopback(host))
        return ros2i_fail(EINVAL,
                          "control.plaintext: %s is not a loopback address; tokens would be open "
                          "to the network: set "
                          "control.cert_file and control.key_file instead",
                          config->control.listen);
    *credentials_p = grpc_insecure_server_credentials_create();
    return 0;
}

/* The client's certificate is asked for and verified when there is a CA for it. Where tokens are configured too it may be
 * absent: the token is then looked at in each call. */
static grpc_ssl_client_certificate_request_type client_certificate(
    const struct ros2d_config *config)
{
    if (!config->control.client_ca_file)
        return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    if (config->tokens_count > 0)
        return GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
    return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
}

int ros2d_listen_credentials(const struct ros2d_config *config,
                             grpc_server_credentials **credentials_p)
{
    char *cert = NULL, *key = NULL, *ca = NULL;
    size_t cert_len, key_len = 0, ca_len;
    int rc;

    if (config->control.plaintext)
        return plaintext_credentials(config, credentials_p);
    if (!config->control.cert_file || !config->control.key_file)
        return ros2i_fail(
            EINVAL, "control.cert_file and control.key_file are needed: TLS is always on, but for "
                    "control.plaintext on a loopback address");
    rc = ros2i_whole_file_read(config->control.cert_file, "control.cert_file: certificate", PEM_MAX,
                               &cert, &cert_len);
    if (rc == 0)
        rc = ros2i_whole_file_read(config->control.key_file, "control.key_file: key", PEM_MAX, &key,
                                   &key_len);
    if (rc == 0)
        rc = ros2i_pem_check_pair(cert, key, "control", config->control.cert_file,
                                  config->control.key_file);
    if (rc == 0 && config->control.client_ca_file) {
        rc = ros2i_whole_file_read(config->control.client_ca_file, "control.client_ca_file: CA",
                                   PEM_MAX, &ca, &ca_len);
        if (rc == 0)
            rc = ros2i_pem_check_certificate(ca, "control.client_ca_file: CA",
                                             config->control.client_ca_file);
    }
    if (rc == 0) {
        grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};

        *credentials_p =
            grpc_ssl_server_credentials_create_ex(ca, &pair, 1, client_certificate(config), NULL);
    }
    if (key)
        ros2i_wipe(key, key_len);
    free(key);
    free(cert);
    free(ca);
    return rc;
}

/* gRPC tells only that it could not: the system is asked why. */
static int explain_bind(const char *listen_on, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int err = 0, on = 1;
    int gai = getaddrinfo(host, port, &hints, &found);

    if (gai != 0)
        return ros2i_fail(EADDRNOTAVAIL, "control.listen: %s: %s", listen_on, gai_strerror(gai));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1) < 0)
        err = errno;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    if (err == EADDRINUSE)
        return ros2i_fail(
            err,
            "control.listen: %s: another program listens there; stop it, or choose another port",
            listen_on);
    if (err)
        return ros2i_fail(err, "control.listen: %s: %s", listen_on, ros2i_strerror(err));
    return ros2i_fail(EADDRNOTAVAIL, "control.listen: %s: gRPC cannot listen there", listen_on);
}

int ros2d_listen_bind(const struct ros2d_config *config, grpc_server *server,
                      grpc_server_credentials *credentials, char *address, size_t address_len)
{
    char host[HOST_MAX], port[8];
    int rc = split(config->control.listen, host, port);

    if (rc < 0)
        return rc;
    int bound = grpc_server_add_http2_port(server, config->control.listen, credentials);
    if (bound <= 0)
        return explain_bind(config->control.listen, host, port);
    snprintf(address, address_len, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, bound);
    return 0;
}
