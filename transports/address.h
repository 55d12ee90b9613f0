/* SPDX-License-Identifier: Apache-2.0 */
/* "HOST:PORT" and "[V6%scope]:PORT", numeric only: no name is ever looked up. Built into each plugin that has such addresses. */
#ifndef TRANSPORTS_ADDRESS_H
#define TRANSPORTS_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define IP_ADDRESS_TEXT 96 /* bytes, with the NUL */

union ip_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

socklen_t ip_address_len(const union ip_address *address);
/* 0 or -EINVAL. */
int ip_address_parse(const char *text, union ip_address *address_p);
/* 0, or -ENOSPC. */
int ip_address_format(const union ip_address *address, char *buf, size_t len);

#endif
