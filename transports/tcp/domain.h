/* SPDX-License-Identifier: Apache-2.0 */
/* A domain: the endpoints, listeners and regions of one thread, and what it sleeps on. */
#ifndef TCP_DOMAIN_H
#define TCP_DOMAIN_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#include "ros2/transport.h"
#include "transports/tcp/list.h"
#include "transports/tcp/region.h"

/* Where bytes of a put go whose region is gone. */
#define TCP_SCRATCH_LEN 65536u

/* What an epoll event is about: the first member of each thing that has a descriptor in the set. */
enum tcp_source { TCP_SOURCE_TIMER, TCP_SOURCE_LISTENER, TCP_SOURCE_EP };

/* owner: the thread that opened it. */
struct ros2_domain {
    /* Fixed after open. */
    const struct ros2_host *host;
    uint32_t max_message;
    size_t send_queue;
    int epoll_fd, timer_fd;
    enum tcp_source timer_source;
    pid_t pid;
    pthread_t owner;
    bool lent; /* to another thread than the owner, which waits meanwhile */

    unsigned depth; /* calls on the stack that may run callbacks: nothing is freed before it is 0 */
    bool armed;     /* the owner may have slept: epoll may know why */
    unsigned turn;
    unsigned ep_count;   /* in eps */
    unsigned connecting; /* of these */
    unsigned bulk; /* of these, wait for much data at once: only epoll knows when it is there */
    unsigned linger_count;
    uint64_t timer_ns; /* when timer_fd fires; 0: off */

    struct tcp_list eps;       /* connecting and open */
    struct tcp_list ready;     /* have something for the user, or frames not yet read */
    struct tcp_list output;    /* have frames to send and no EPOLLOUT to wait for */
    struct tcp_list dead;      /* told their user, who has not freed them yet */
    struct tcp_list lingering; /* closed, saying goodbye; oldest first */
    struct tcp_list graveyard; /* to be freed at depth 0 */
    struct tcp_list listeners;
    struct tcp_list listener_graveyard;
    struct tcp_regions regions;
    uint8_t *scratch;
};

int tcp_domain_open(const struct ros2_domain_options *options, struct ros2_domain **domain_p);
void tcp_domain_close(struct ros2_domain *domain);
int tcp_domain_fd(struct ros2_domain *domain);
int tcp_domain_arm(struct ros2_domain *domain);
int tcp_progress(struct ros2_domain *domain);
unsigned tcp_domain_lingering(struct ros2_domain *domain);
void tcp_domain_lend(struct ros2_domain *domain, int lent);
void tcp_domain_wake(struct ros2_domain *domain);

/* Around everything that may run callbacks. The outermost leave frees what died in between. */
void tcp_domain_enter(struct ros2_domain *domain);
void tcp_domain_leave(struct ros2_domain *domain);

/* Makes progress() look at deadlines at when_ns, or earlier when one is set already. */
void tcp_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns);

/* Puts fd into the epoll set; source is the first member of its owner. -ENOMEM, -ENOSPC. */
int tcp_domain_watch(struct ros2_domain *domain, int fd, uint32_t events, enum tcp_source *source);
/* Takes fd out of the epoll set, which a forked child must not touch: it shares it with its parent. Closes fd; never
 * shuts the connection down, for the same reason. */
void tcp_domain_close_fd(struct ros2_domain *domain, int fd);

/* With so few endpoints it is cheaper to read from each than to ask epoll first. */
static inline bool tcp_domain_direct(const struct ros2_domain *domain)
{
    return domain->ep_count <= 4;
}

static inline bool tcp_domain_forked(const struct ros2_domain *domain)
{
    return getpid() != domain->pid;
}

/* Debug builds: the caller is the owner, or was lent the domain. A forked child is let through, to drop what it inherited. */
static inline void tcp_domain_own(const struct ros2_domain *domain)
{
    (void)domain;
#ifdef ROS2_DEBUG
    assert(domain->lent || pthread_equal(domain->owner, pthread_self()) ||
           tcp_domain_forked(domain));
#endif
}

#endif
