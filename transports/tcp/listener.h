/* SPDX-License-Identifier: Apache-2.0 */
/* Where connections come in. */
#ifndef TCP_LISTENER_H
#define TCP_LISTENER_H

#include <stdbool.h>

#include "ros2/transport.h"
#include "transports/address.h"
#include "transports/tcp/domain.h"

/* owner: the domain's thread. */
struct ros2_listener {
    enum tcp_source source; /* first: epoll points here */
    int fd;                 /* -1: closed, waiting to be freed */
    struct ros2_domain *domain;
    ros2_accept_fn *on_accept;
    void *arg;
    union ip_address local;
    bool paused;      /* by the user */
    bool complained;  /* about missing descriptors, since the last success */
    uint64_t rest_ns; /* accepts nothing until then: descriptors ran out; 0: does not rest */
    struct tcp_list link;
};

int tcp_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p);
int tcp_listener_address(struct ros2_listener *listener, char *buf, size_t len);
void tcp_listener_pause(struct ros2_listener *listener, int paused);
void tcp_listener_close(struct ros2_listener *listener);

/* -- for domain.c -- */

/* Accepts what waits, bounded; returns how many. */
int tcp_listener_accept(struct ros2_listener *listener);
/* Lets those that rested accept again. */
void tcp_listener_expire(struct ros2_domain *domain, uint64_t now_ns);

#endif
