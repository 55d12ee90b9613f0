/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's routes, asked by a socket that is connected and sends nothing. Owner: none, any thread. */
#include "config.h"

#include "transports/interface.h"

#include <ifaddrs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int local_address(const union ip_address *peer, union ip_address *local_p)
{
    socklen_t len = sizeof *local_p;
    int fd = socket(peer->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = -1;

    if (fd < 0)
        return -1;
    if (connect(fd, &peer->any, ip_address_len(peer)) == 0)
        rc = getsockname(fd, &local_p->any, &len);
    close(fd);
    return rc;
}

static bool is_same_host(const union ip_address *a, const struct sockaddr *other)
{
    const union ip_address *b = (const void *)other;

    if (!other || other->sa_family != a->any.sa_family)
        return false;
    if (other->sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

int interface_with(const union ip_address *local, char name[IFNAMSIZ])
{
    struct ifaddrs *list;
    int rc = -1;

    if (getifaddrs(&list) < 0)
        return -1;
    for (const struct ifaddrs *at = list; at && rc < 0; at = at->ifa_next) {
        if (!is_same_host(local, at->ifa_addr))
            continue;
        snprintf(name, IFNAMSIZ, "%s", at->ifa_name);
        rc = 0;
    }
    freeifaddrs(list);
    return rc;
}

int interface_towards(const union ip_address *peer, char name[IFNAMSIZ])
{
    union ip_address local;

    return local_address(peer, &local) < 0 ? -1 : interface_with(&local, name);
}
