/* SPDX-License-Identifier: Apache-2.0 */
/* Where connections come in. */
#ifndef SHM_LISTENER_H
#define SHM_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "ros2/transport.h"
#include "transports/shm/domain.h"

/* owner: the domain's thread. */
struct ros2_listener {
    enum shm_source source; /* first: epoll points here */
    int fd;                 /* -1: closed, waiting to be freed */
    struct ros2_domain *domain;
    ros2_accept_fn *on_accept;
    void *arg;
    struct sockaddr_un local;
    dev_t dev; /* of the socket's file, so that nobody else's is unlinked */
    ino_t ino;
    bool paused;      /* by the user */
    bool complained;  /* about missing descriptors, since the last success */
    uint64_t rest_ns; /* accepts nothing until then: descriptors ran out; 0: does not rest */
    struct shm_list link;
};

int shm_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p);
int shm_listener_address(struct ros2_listener *listener, char *buf, size_t len);
void shm_listener_pause(struct ros2_listener *listener, int paused);
void shm_listener_close(struct ros2_listener *listener);

/* -- for domain.c -- */

/* Accepts what waits, bounded; returns how many. */
int shm_listener_accept(struct ros2_listener *listener);
/* Lets those that rested accept again. */
void shm_listener_expire(struct ros2_domain *domain, uint64_t now_ns);

#endif
