/* SPDX-License-Identifier: Apache-2.0 */
/* The URL parser: a URL holds a host and a port and nothing else, so that a secret in it is refused, not logged. Pure. */
#include "config.h"

#include "lib/core/url.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/error.h"

#define SCHEME "ros2://"

static bool only(const char *text, size_t len, const char *more)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && (text[i] == '\0' || !strchr(more, text[i])))
            return false;
    return true;
}

static int parse_port(const char *text, uint16_t *port_p)
{
    unsigned port = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && port <= 65535; at++)
        port = port * 10 + (unsigned)(*at - '0');
    if (*at == '/' || *at == '?' || *at == '#')
        return ros2i_fail(
            EINVAL,
            "URL: \"%s\" follows the port; a URL is ros2://HOST[:PORT], paths go to the calls", at);
    if (at == text || *at != '\0' || port < 1 || port > 65535)
        return ros2i_fail(EINVAL, "URL: port \"%s\" is not a number in 1..65535", text);
    *port_p = (uint16_t)port;
    return 0;
}

static int set_host(const char *host, size_t len, struct ros2i_url *url)
{
    if (len == 0)
        return ros2i_fail(EINVAL, "URL: the host is missing; a URL is ros2://HOST[:PORT]");
    if (len >= sizeof(url->host))
        return ros2i_fail(EINVAL, "URL: the host has %zu bytes, at most %zu are allowed", len,
                          sizeof(url->host) - 1);
    memcpy(url->host, host, len);
    url->host[len] = '\0';
    return 0;
}

/* at: behind the opening bracket. */
static int parse_v6(const char *at, struct ros2i_url *url, const char **rest_p)
{
    const char *end = strchr(at, ']');
    if (!end)
        return ros2i_fail(EINVAL, "URL: \"[\" without \"]\" around the IPv6 address");
    size_t len = (size_t)(end - at);
    const char *scope = memchr(at, '%', len);
    size_t address_len = scope ? (size_t)(scope - at) : len;
    for (size_t i = 0; i < address_len; i++)
        if (!isxdigit((unsigned char)at[i]) && at[i] != ':' && at[i] != '.')
            return ros2i_fail(EINVAL, "URL: \"%.*s\" in brackets is no IPv6 address",
                              (int)(len > 80 ? 80 : len), at);
    if (address_len < 2 || !memchr(at, ':', address_len))
        return ros2i_fail(EINVAL, "URL: \"%.*s\" in brackets is no IPv6 address",
                          (int)(len > 80 ? 80 : len), at);
    if (scope && (scope + 1 == end || !only(scope + 1, (size_t)(end - scope - 1), "-_.")))
        return ros2i_fail(EINVAL, "URL: scope id \"%.*s\" is no interface name", (int)(end - scope),
                          scope);
    url->v6 = true;
    *rest_p = end + 1;
    return set_host(at, len, url);
}

static int parse_name(const char *at, struct ros2i_url *url, const char **rest_p)
{
    size_t len = strcspn(at, ":/?#@");
    if (at[len] == '@' || strchr(at + len, '@'))
        return ros2i_fail(EINVAL, "URL: \"@\" is not allowed: user names and secrets do not belong "
                                  "there; use a token file");
    if (at[len] == ':' && strchr(at + len + 1, ':'))
        return ros2i_fail(EINVAL,
                          "URL: an IPv6 address must be in brackets: ros2://[ADDRESS]:PORT");
    if (!only(at, len, "-_."))
        return ros2i_fail(EINVAL, "URL: host \"%.*s\" has characters that no host name has",
                          (int)(len > 80 ? 80 : len), at);
    *rest_p = at + len;
    return set_host(at, len, url);
}

int ros2i_url_parse(const char *text, struct ros2i_url *url_p)
{
    struct ros2i_url url = {.port = ROS2I_DEFAULT_PORT};
    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0) {
        size_t scheme = strcspn(text, ":/");
        if (strncmp(text + scheme, "://", 3) == 0)
            return ros2i_fail(EINVAL, "URL: scheme \"%.*s\" is not ros2",
                              (int)(scheme > 40 ? 40 : scheme), text);
        return ros2i_fail(EINVAL,
                          "URL: it must begin with ros2://, as in ros2://storage.example:7720");
    }
    const char *at = text + strlen(SCHEME);
    const char *rest = NULL;
    int rc = *at == '[' ? parse_v6(at + 1, &url, &rest) : parse_name(at, &url, &rest);
    if (rc < 0)
        return rc;
    if (*rest == ':')
        rc = parse_port(rest + 1, &url.port);
    else if (*rest != '\0')
        rc = ros2i_fail(
            EINVAL,
            "URL: \"%s\" follows the host; a URL is ros2://HOST[:PORT], paths go to the calls",
            rest);
    if (rc < 0)
        return rc;
    *url_p = url;
    return 0;
}
