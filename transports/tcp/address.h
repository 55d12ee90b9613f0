/* SPDX-License-Identifier: Apache-2.0 */
/* "HOST:PORT" and "[V6%scope]:PORT", numeric only: no name is ever looked up. */
#ifndef TCP_ADDRESS_H
#define TCP_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define TCP_ADDRESS_TEXT 80 /* bytes that hold any address as text */

union tcp_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* 0 or -EINVAL (no text set). */
int tcp_address_parse(const char *text, union tcp_address *address_p);
/* 0 or -ENOSPC. */
int tcp_address_format(const union tcp_address *address, char *buf, size_t len);
socklen_t tcp_address_len(const union tcp_address *address);

#endif
