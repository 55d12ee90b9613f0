/* SPDX-License-Identifier: Apache-2.0 */
/* Where data channels go: which of the session's endpoints, at which addresses. Called while a client connects, and by
 * queues on what is fixed then. */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"
#include "lib/core/client.h"

static int add_host(struct ros2_client *client, const struct addrinfo *info)
{
    char numeric[NI_MAXHOST];
    int rc = getnameinfo(info->ai_addr, info->ai_addrlen, numeric, sizeof(numeric), NULL, 0,
                         NI_NUMERICHOST);
    if (rc != 0)
        return rc;
    char *host = client->host[client->host_count];
    size_t size = sizeof(client->host[0]);
    int len = snprintf(host, size, info->ai_family == AF_INET6 ? "[%s]" : "%s", numeric);
    if (len > 0 && (size_t)len < size)
        client->host_count++;
    return 0;
}

int ros2i_endpoints_resolve(struct ros2_client *client, const char *host)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    if (client->host_count > 0)
        return 0;
    int rc = getaddrinfo(host, NULL, &hints, &list);
    for (struct addrinfo *info = list; info && rc == 0 && client->host_count < ROS2I_HOSTS_MAX;
         info = info->ai_next)
        rc = add_host(client, info);
    if (list)
        freeaddrinfo(list);
    if (rc == 0 && client->host_count > 0)
        return 0;
    client->host_count = 0;
    return ros2i_fail(EHOSTUNREACH, "host %s: %s", host,
                      rc == EAI_SYSTEM ? ros2i_strerror(errno)
                      : rc != 0        ? gai_strerror(rc)
                                       : "no address");
}

bool ros2i_endpoints_loopback(const struct ros2_client *client)
{
    for (unsigned i = 0; i < client->host_count; i++) {
        const char *host = client->host[i];
        if (strncmp(host, "127.", 4) != 0 && strcmp(host, "[::1]") != 0)
            return false;
    }
    return client->host_count > 0;
}

static bool usable(const struct ros2_transport_ops *ops)
{
    /* Synchronous calls take the caller's own memory, which only a transport with tokens can expose for one operation. */
    return (ops->flags & ROS2_TRANSPORT_TOKENS) != 0;
}

int ros2i_endpoints_choose(struct ros2_client *client)
{
    const struct ros2i_session *session = &client->session;
    if (session->endpoint_count == 0)
        return ros2i_fail(EPROTO, "the daemon offers no data endpoint");
    int rc = 0;
    for (uint32_t i = 0; i < session->endpoint_count && i < ROS2I_ENDPOINTS_MAX; i++) {
        const char *name = session->endpoint[i].transport;
        if (i > 0 && strcmp(name, session->endpoint[i - 1].transport) == 0)
            continue;
        rc = ros2i_plugin_transport(name, &client->ops);
        if (rc == 0 && usable(client->ops))
            return 0;
        ros2i_log(ROS2_LOG_INFO, "core", "transport %s offered and not usable: %s", name,
                  rc < 0 ? ros2i_error() : "no tokens");
    }
    client->ops = NULL;
    return rc < 0 ? rc
                  : ros2i_fail(EPROTONOSUPPORT,
                               "the daemon offers no transport that this library can use");
}

static const struct ros2i_endpoint *endpoint_of_queue(const struct ros2_client *client,
                                                      uint32_t number)
{
    const struct ros2i_session *session = &client->session;
    uint32_t count = 0;
    for (uint32_t i = 0; i < session->endpoint_count; i++)
        count += strcmp(session->endpoint[i].transport, client->ops->name) == 0;
    uint32_t wanted = number % count;
    for (uint32_t i = 0;; i++)
        if (strcmp(session->endpoint[i].transport, client->ops->name) == 0 && wanted-- == 0)
            return &session->endpoint[i];
}

unsigned ros2i_endpoints_of_queue(const struct ros2_client *client, uint32_t number,
                                  char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX])
{
    const struct ros2i_endpoint *endpoint = endpoint_of_queue(client, number);
    if (endpoint->address[0] != ':') {
        snprintf(address[0], ROS2I_CHANNEL_ADDRESS_MAX, "%s", endpoint->address);
        return 1;
    }
    for (unsigned i = 0; i < client->host_count; i++) {
        /* Both are bounded well below the sum: a numeric address and ":65535". */
        int len = snprintf(address[i], ROS2I_CHANNEL_ADDRESS_MAX, "%s%s", client->host[i],
                           endpoint->address);
        if (len < 0 || len >= ROS2I_CHANNEL_ADDRESS_MAX)
            address[i][0] = '\0';
    }
    return client->host_count;
}
