/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text. Owner: none, pure functions. */
#include "config.h"

#include "transports/tcp/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

socklen_t tcp_address_len(const union tcp_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

static int parse_port(const char *text, in_port_t *port_p)
{
    unsigned port = 0;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        port = port * 10 + (unsigned)(*text - '0');
        if (port > UINT16_MAX)
            return -EINVAL;
    }
    *port_p = htons((uint16_t)port);
    return 0;
}

/* host: of "[HOST]", with an optional "%scope" (an interface's name or number). */
static int parse_v6(char *host, struct sockaddr_in6 *v6)
{
    char *scope = strchr(host, '%');

    v6->sin6_family = AF_INET6;
    if (scope) {
        *scope++ = 0;
        char *end;
        unsigned long number = strtoul(scope, &end, 10);
        if (*scope >= '0' && *scope <= '9' && !*end && number <= UINT32_MAX)
            v6->sin6_scope_id = (uint32_t)number;
        else
            v6->sin6_scope_id = if_nametoindex(scope);
        if (v6->sin6_scope_id == 0)
            return -EINVAL;
    }
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 ? 0 : -EINVAL;
}

int tcp_address_parse(const char *text, union tcp_address *address_p)
{
    union tcp_address address = {0};
    char host[TCP_ADDRESS_TEXT];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    int rc;

    if (len == 0 || len >= sizeof host)
        return -EINVAL;
    memcpy(host, text, len);
    host[len] = 0;
    if (host[0] == '[') {
        if (host[len - 1] != ']')
            return -EINVAL;
        host[len - 1] = 0;
        rc = parse_v6(host + 1, &address.v6);
        if (rc == 0)
            rc = parse_port(colon + 1, &address.v6.sin6_port);
    } else {
        address.v4.sin_family = AF_INET;
        rc = inet_pton(AF_INET, host, &address.v4.sin_addr) == 1 ? 0 : -EINVAL;
        if (rc == 0)
            rc = parse_port(colon + 1, &address.v4.sin_port);
    }
    if (rc == 0)
        *address_p = address;
    return rc;
}

int tcp_address_format(const union tcp_address *address, char *buf, size_t len)
{
    char host[INET6_ADDRSTRLEN];
    char text[TCP_ADDRESS_TEXT + IF_NAMESIZE];
    int n;

    if (address->any.sa_family == AF_INET6) {
        char scope[IF_NAMESIZE + 1] = "";
        if (address->v6.sin6_scope_id) {
            scope[0] = '%';
            if (!if_indextoname(address->v6.sin6_scope_id, scope + 1))
                snprintf(scope + 1, IF_NAMESIZE, "%u", address->v6.sin6_scope_id);
        }
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        n = snprintf(text, sizeof text, "[%s%s]:%u", host, scope, ntohs(address->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        n = snprintf(text, sizeof text, "%s:%u", host, ntohs(address->v4.sin_port));
    }
    if (n < 0 || (size_t)n >= len)
        return -ENOSPC;
    memcpy(buf, text, (size_t)n + 1);
    return 0;
}
