/* SPDX-License-Identifier: Apache-2.0 */
/* Any thread; nothing global. Interfaces are looked up each time: they come and go. */
#include "config.h"

#include "lib/core/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"

#define ITEM_MAX 64 /* bytes: the longest is an address of IPv6 with its prefix */

struct address {
    sa_family_t family; /* AF_INET or AF_INET6 */
    uint8_t bytes[16];  /* the first 4, of IPv4 */
};

struct subnet {
    struct address address;
    unsigned prefix; /* bits */
};

static unsigned bits_of(const struct address *address)
{
    return address->family == AF_INET ? 32 : 128;
}

static bool parse_address(const char *text, struct address *address)
{
    *address = (struct address){.family = AF_INET};
    if (inet_pton(AF_INET, text, address->bytes) == 1)
        return true;
    address->family = AF_INET6;
    return inet_pton(AF_INET6, text, address->bytes) == 1;
}

static bool is_inside(const struct address *address, const struct subnet *subnet)
{
    const unsigned whole = subnet->prefix / 8, rest = subnet->prefix % 8;

    if (address->family != subnet->address.family ||
        memcmp(address->bytes, subnet->address.bytes, whole) != 0)
        return false;
    const uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || ((address->bytes[whole] ^ subnet->address.bytes[whole]) & mask) == 0;
}

/* -- items -- */

enum item_kind { BROKEN, SUBNET, INTERFACE };

/* The item at the front of *at, which moves behind it. text gets a copy. */
static enum item_kind next_item(const char **at, char text[ITEM_MAX], struct subnet *subnet)
{
    const size_t len = strcspn(*at, ",");
    char *slash, *end;

    snprintf(text, ITEM_MAX, "%.*s", (int)(len < ITEM_MAX ? len : ITEM_MAX - 1), *at);
    *at += len + ((*at)[len] == ',');
    if (len == 0 || len >= ITEM_MAX)
        return BROKEN;
    char host[ITEM_MAX];
    strcpy(host, text);
    slash = strchr(host, '/');
    if (slash)
        *slash = '\0';
    if (!parse_address(host, &subnet->address))
        return slash || len >= IFNAMSIZ || strpbrk(text, ": \t") ? BROKEN : INTERFACE;
    subnet->prefix = bits_of(&subnet->address);
    if (!slash)
        return SUBNET;
    const unsigned long prefix = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || prefix > subnet->prefix)
        return BROKEN;
    subnet->prefix = (unsigned)prefix;
    return SUBNET;
}

int ros2i_networks_check(const char *networks)
{
    char text[ITEM_MAX];
    struct subnet subnet;
    const char *at = networks;

    do {
        if (next_item(&at, text, &subnet) == BROKEN)
            return ros2i_fail(EINVAL,
                              "settings: networks: \"%s\" is no subnet, like 10.0.0.0/8 or "
                              "fd00::/8, and no interface, like eth0",
                              text);
    } while (*at != '\0');
    if (networks[strlen(networks) - 1] == ',')
        return ros2i_fail(EINVAL, "settings: networks \"%s\" ends in a comma", networks);
    return 0;
}

/* -- interfaces -- */

static bool take_sockaddr(const struct sockaddr *from, struct address *address)
{
    *address = (struct address){.family = from ? from->sa_family : AF_UNSPEC};
    if (address->family == AF_INET)
        memcpy(address->bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    else if (address->family == AF_INET6)
        memcpy(address->bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    return address->family == AF_INET || address->family == AF_INET6;
}

static unsigned prefix_of(const struct address *mask)
{
    unsigned prefix = 0;

    while (prefix < bits_of(mask) && (mask->bytes[prefix / 8] & 0x80u >> prefix % 8))
        prefix++;
    return prefix;
}

static bool is_of_interface(const struct address *address, const char *name)
{
    struct ifaddrs *list;
    bool found = false;

    if (getifaddrs(&list) < 0)
        return false;
    for (const struct ifaddrs *at = list; at && !found; at = at->ifa_next) {
        struct subnet subnet;
        struct address mask;
        if (strcmp(at->ifa_name, name) != 0 || !take_sockaddr(at->ifa_addr, &subnet.address) ||
            !take_sockaddr(at->ifa_netmask, &mask))
            continue;
        subnet.prefix = prefix_of(&mask);
        found = is_inside(address, &subnet);
    }
    freeifaddrs(list);
    return found;
}

/* -- the question -- */

/* The host of "HOST:PORT" or "[V6%scope]:PORT". */
static bool parse_host(const char *text, struct address *address)
{
    char host[INET6_ADDRSTRLEN + 1 + IFNAMSIZ];
    const bool brackets = *text == '[';
    const char *begin = text + brackets, *end = strchr(begin, brackets ? ']' : ':');

    if (!end || (size_t)(end - begin) >= sizeof(host))
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    host[strcspn(host, "%")] = '\0';
    return parse_address(host, address);
}

bool ros2i_networks_allow(const char *networks, const char *address)
{
    char text[ITEM_MAX];
    struct subnet subnet;
    struct address host;
    const char *at = networks;

    if (!parse_host(address, &host))
        return false;
    while (*at != '\0') {
        const enum item_kind kind = next_item(&at, text, &subnet);
        if ((kind == SUBNET && is_inside(&host, &subnet)) ||
            (kind == INTERFACE && is_of_interface(&host, text)))
            return true;
    }
    return false;
}
