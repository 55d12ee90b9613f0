/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text, by the C library's own conversions. Owner: none, pure functions. */
#include "config.h"

#include "transports/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

socklen_t ip_address_len(const union ip_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

/* getaddrinfo takes ports and IPv4 hosts in more ways than the interface promises: these are the ones that it keeps. */
static int is_strict(int family, const char *host, const char *port)
{
    struct in_addr v4;
    size_t digits = strspn(port, "0123456789");

    if (digits == 0 || digits > 5 || port[digits])
        return 0;
    return family == AF_INET6 || inet_pton(AF_INET, host, &v4) == 1;
}

int ip_address_parse(const char *text, union ip_address *address_p)
{
    char copy[IP_ADDRESS_TEXT];
    const struct addrinfo hints = {.ai_family = text[0] == '[' ? AF_INET6 : AF_INET,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    int port_number;

    if (strlen(text) >= sizeof copy)
        return -EINVAL;
    strcpy(copy, text);
    char *host = copy, *port = strrchr(copy, ':');
    if (!port || port == copy)
        return -EINVAL;
    *port++ = 0;
    if (host[0] == '[') {
        host++;
        if (host[0] == 0 || host[strlen(host) - 1] != ']')
            return -EINVAL;
        host[strlen(host) - 1] = 0;
    }
    if (host[0] == 0 || !is_strict(hints.ai_family, host, port) ||
        sscanf(port, "%d", &port_number) != 1 || port_number > UINT16_MAX ||
        getaddrinfo(host, port, &hints, &found) != 0)
        return -EINVAL;
    *address_p = (union ip_address){0};
    memcpy(address_p, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

int ip_address_format(const union ip_address *address, char *buf, size_t len)
{
    char host[IP_ADDRESS_TEXT], port[8], text[IP_ADDRESS_TEXT + 16];

    if (getnameinfo(&address->any, ip_address_len(address), host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -ENOSPC;
    int n = snprintf(text, sizeof text, address->any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
                     host, port);
    if (n < 0 || (size_t)n >= len)
        return -ENOSPC;
    memcpy(buf, text, (size_t)n + 1);
    return 0;
}
