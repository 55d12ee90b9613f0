/* SPDX-License-Identifier: Apache-2.0 */
/* Where data channels go: which of the session's endpoints, at which addresses. Called while a client connects, and by
 * queues on what is fixed then. */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"
#include "lib/core/client.h"
#include "lib/core/networks.h"
#include "lib/core/probe.h"

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

/* -- the choice -- */

/* A transport of one machine: its address is a path. */
static bool is_local(const struct ros2i_endpoint *endpoint)
{
    return endpoint->address[0] == '/';
}

static const struct ros2i_endpoint *find_endpoint(const struct ros2i_session *session,
                                                  const char *name)
{
    for (uint32_t i = 0; i < session->endpoint_count; i++)
        if (strcmp(session->endpoint[i].transport, name) == 0)
            return &session->endpoint[i];
    return NULL;
}

/* The daemon's name for its socket, or the same one in the folder that the settings name. */
static int local_address(const struct ros2_client *client, const struct ros2i_endpoint *endpoint,
                         char address[ROS2I_CHANNEL_ADDRESS_MAX])
{
    const char *name = strrchr(endpoint->address, '/') + 1;
    int len = client->shm_dir
                  ? snprintf(address, ROS2I_CHANNEL_ADDRESS_MAX, "%s/%s", client->shm_dir, name)
                  : snprintf(address, ROS2I_CHANNEL_ADDRESS_MAX, "%s", endpoint->address);

    if (len >= 0 && len < ROS2I_CHANNEL_ADDRESS_MAX)
        return 0;
    address[0] = '\0';
    return ros2i_fail(ENAMETOOLONG, "%s/%s: no socket's path is that long; see ROS2_SHM_DIR",
                      client->shm_dir, name);
}

static int reach_local(struct ros2_client *client, const struct ros2i_endpoint *endpoint,
                       uint64_t deadline_ns)
{
    char address[ROS2I_CHANNEL_ADDRESS_MAX], text[ROS2I_ERROR_MAX];
    int rc = local_address(client, endpoint, address);
    struct stat st;

    if (rc == 0 && stat(address, &st) < 0) /* a connection would tell less exactly */
        rc = ros2i_fail(errno, "%s: %s", address, ros2i_strerror(errno));
    if (rc == 0)
        rc = ros2i_probe(client, deadline_ns);
    if (rc == 0)
        return 0;
    snprintf(text, sizeof(text), "%s", ros2i_error());
    return ros2i_fail(
        -rc,
        "%s (this ros2d is on another machine, or its data.shm_dir is not to be seen or entered "
        "here: mount it into a container, and set ROS2_SHM_DIR where it is elsewhere)",
        text);
}

/* Of the transport that was just loaded. */
static int check_available(const struct ros2_client *client)
{
    char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX];

    if (!client->ops->available)
        return 0;
    return client->ops->available(
        &ros2i_host, ros2i_endpoints_of_queue(client, 0, address) > 0 ? address[0] : NULL);
}

/* Only the user knows whether the network may be trusted: naming such a transport says so. */
static int check_exposure(const struct ros2_transport_ops *ops, bool named)
{
    if (!(ops->flags & ROS2_TRANSPORT_EXPOSES) || named)
        return 0;
    return ros2i_fail(EPERM,
                      "by it whoever reaches this process's ports can read and write all of its "
                      "memory; let setting transport (ROS2_TRANSPORT) name it where nobody "
                      "else can");
}

static int try_transport(struct ros2_client *client, const char *name, bool named,
                         uint64_t deadline_ns)
{
    const struct ros2i_endpoint *endpoint = find_endpoint(&client->session, name);
    int rc;

    if (!endpoint)
        return ros2i_fail(EPROTONOSUPPORT,
                          "this ros2d does not offer it; list it in ros2d's data.transport");
    rc = ros2i_plugin_transport(name, &client->ops);
    if (rc == 0)
        rc = check_exposure(client->ops, named);
    if (rc == 0)
        rc = ros2i_endpoints_in_networks(client, name);
    if (rc == 0)
        rc = check_available(client);
    if (rc < 0)
        return rc;
    return is_local(endpoint) ? reach_local(client, endpoint, deadline_ns) : 0;
}

/* The names to try in turn: copies the one at place index. */
static bool name_at(const struct ros2_client *client, const char *wanted, unsigned index,
                    char name[ROS2I_TRANSPORT_NAME_MAX])
{
    const struct ros2i_endpoint *endpoint = client->session.endpoint;

    if (wanted) {
        for (; wanted && index > 0; index--) {
            wanted = strchr(wanted, ',');
            wanted = wanted ? wanted + 1 : NULL;
        }
        if (wanted)
            snprintf(name, ROS2I_TRANSPORT_NAME_MAX, "%.*s", (int)strcspn(wanted, ","), wanted);
        return wanted != NULL;
    }
    for (uint32_t i = 0; i < client->session.endpoint_count; i++) {
        if (i > 0 && strcmp(endpoint[i].transport, endpoint[i - 1].transport) == 0)
            continue;
        if (index-- == 0) {
            strcpy(name, endpoint[i].transport);
            return true;
        }
    }
    return false;
}

/* For ros2_transports(): without memory it is forgotten. */
static void remember_refusal(struct ros2_client *client, const char *name)
{
    struct ros2i_refusal *grown =
        realloc(client->refusal, (client->refusal_count + 1) * sizeof(*grown));

    if (!grown)
        return;
    client->refusal = grown;
    grown += client->refusal_count++;
    snprintf(grown->name, sizeof(grown->name), "%s", name);
    snprintf(grown->why, sizeof(grown->why), "%s", ros2i_error());
}

/* The transport behind place index that any process can use. */
static const struct ros2_transport_ops *next_for_children(const struct ros2_client *client,
                                                          const char *wanted, unsigned index)
{
    char name[ROS2I_TRANSPORT_NAME_MAX];
    const struct ros2_transport_ops *ops;

    while (name_at(client, wanted, ++index, name)) {
        const struct ros2i_endpoint *endpoint = find_endpoint(&client->session, name);
        if (endpoint && !is_local(endpoint) && ros2i_plugin_transport(name, &ops) == 0 &&
            !ops->available && check_exposure(ops, wanted != NULL) == 0 &&
            ros2i_endpoints_in_networks(client, name) == 0)
            return ops;
    }
    return NULL;
}

void ros2i_endpoints_after_fork(struct ros2_client *client)
{
    if (!client->child_ops || client->ops->available(&ros2i_host, NULL) == 0)
        return;
    ros2i_log(ROS2_LOG_INFO, "core", "transport %s is not usable: %s; instead: %s",
              client->ops->name, ros2i_error(), client->child_ops->name);
    client->ops = client->child_ops;
    client->child_ops = NULL;
}

int ros2i_endpoints_choose(struct ros2_client *client, const char *wanted, uint64_t deadline_ns)
{
    char name[ROS2I_TRANSPORT_NAME_MAX], causes[ROS2I_ERROR_MAX] = "";
    size_t used = 0;
    int rc = -EPROTO;

    for (unsigned i = 0; name_at(client, wanted, i, name); i++) {
        rc = try_transport(client, name, wanted != NULL, deadline_ns);
        if (rc == 0) {
            ros2i_log(ROS2_LOG_INFO, "core", "transport %s", name);
            if (client->ops->available)
                client->child_ops = next_for_children(client, wanted, i);
            return 0;
        }
        ros2i_log(ROS2_LOG_INFO, "core", "transport %s is not usable: %s", name, ros2i_error());
        remember_refusal(client, name);
        if (used < sizeof(causes))
            used += (size_t)snprintf(causes + used, sizeof(causes) - used, "%stransport %s: %s",
                                     used > 0 ? "; " : "", name, ros2i_error());
    }
    client->ops = NULL;
    return ros2i_fail(-rc, "%s%s", used > 0 ? causes : "the daemon offers no data endpoint",
                      wanted ? "; or let setting transport (ROS2_TRANSPORT) name another, or none"
                             : "");
}

/* -- addresses -- */

/* Those of an endpoint that setting networks lets through. */
static unsigned addresses_of(const struct ros2_client *client,
                             const struct ros2i_endpoint *endpoint,
                             char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX])
{
    const bool at_host = endpoint->address[0] == ':';
    const unsigned count = at_host ? client->host_count : 1;
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        /* Both are bounded well below the sum: a numeric address and ":65535". */
        int len = snprintf(address[found], ROS2I_CHANNEL_ADDRESS_MAX, "%s%s",
                           at_host ? client->host[i] : "", endpoint->address);
        if (len < 0 || len >= ROS2I_CHANNEL_ADDRESS_MAX)
            address[found][0] = '\0';
        found += !client->networks || ros2i_networks_allow(client->networks, address[found]);
    }
    return found;
}

static bool is_candidate(const struct ros2_client *client, const struct ros2i_endpoint *endpoint,
                         const char *transport)
{
    char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX];

    return strcmp(endpoint->transport, transport) == 0 &&
           (is_local(endpoint) || addresses_of(client, endpoint, address) > 0);
}

/* NULL: setting networks leaves none. */
static const struct ros2i_endpoint *endpoint_of_queue(const struct ros2_client *client,
                                                      uint32_t number)
{
    const struct ros2i_session *session = &client->session;
    const struct ros2i_endpoint *candidate[ROS2I_ENDPOINTS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < session->endpoint_count; i++)
        if (is_candidate(client, &session->endpoint[i], client->ops->name))
            candidate[count++] = &session->endpoint[i];
    return count > 0 ? candidate[number % count] : NULL;
}

unsigned ros2i_endpoints_of_queue(const struct ros2_client *client, uint32_t number,
                                  char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX])
{
    const struct ros2i_endpoint *endpoint = endpoint_of_queue(client, number);

    if (!endpoint)
        return 0;
    if (!is_local(endpoint))
        return addresses_of(client, endpoint, address);
    (void)local_address(client, endpoint, address[0]); /* "" is refused when it connects */
    return 1;
}

int ros2i_endpoints_in_networks(const struct ros2_client *client, const char *transport)
{
    const struct ros2i_endpoint *endpoint = find_endpoint(&client->session, transport);

    if (!client->networks || !endpoint)
        return 0;
    for (uint32_t i = 0; i < client->session.endpoint_count; i++)
        if (is_candidate(client, &client->session.endpoint[i], transport))
            return 0;
    return ros2i_fail(EHOSTUNREACH, "its address %s%s is in none of setting networks: %s",
                      endpoint->address[0] == ':' && client->host_count > 0 ? client->host[0] : "",
                      endpoint->address, client->networks);
}
