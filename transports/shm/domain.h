/* SPDX-License-Identifier: Apache-2.0 */
/* A domain: the endpoints, listeners and regions of one thread, and what it sleeps on. */
#ifndef SHM_DOMAIN_H
#define SHM_DOMAIN_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#include "ros2/transport.h"
#include "transports/shm/doorbell.h"
#include "transports/shm/list.h"
#include "transports/shm/region.h"

/* What one endpoint may copy in one call of progress, so that others get their turn. */
#define SHM_TURN_BYTES (1u << 20)

/* What an epoll event is about: the first member of each thing that has a descriptor in the set. */
enum shm_source { SHM_SOURCE_TIMER, SHM_SOURCE_LISTENER, SHM_SOURCE_EP, SHM_SOURCE_DOORBELL };

/* owner: the thread that opened it. */
struct ros2_domain {
    /* Fixed after open. */
    const struct ros2_host *host;
    const struct ros2_shared_memory *memory; /* NULL: none */
    uint32_t max_message;
    size_t send_queue;
    int epoll_fd, timer_fd;
    enum shm_source timer_source;
    pid_t pid;
    const volatile uint32_t
        *living; /* 1, in a page that a forked child finds empty; NULL: there is no such page */
    pthread_t owner;
    bool lent;        /* to another thread than the owner, which waits meanwhile */
    uint8_t *scratch; /* a received record, as the handler sees it */

    unsigned depth; /* calls on the stack that may run callbacks: nothing is freed before it is 0 */
    bool armed;     /* the owner may have slept: epoll may know why */
    unsigned turn, idle; /* calls of progress; those in a row that found nothing */
    unsigned idle_limit; /* of these, before the kernel is asked */
    unsigned hot_count;
    unsigned connecting; /* of opening; only the kernel knows when they are through */
    unsigned linger_count;
    uint64_t looked_ns; /* when epoll was asked last */
    uint64_t timer_ns;  /* when timer_fd fires; 0: off */

    /* Each endpoint is in one of these. */
    struct shm_list hot;       /* open, polled */
    struct shm_list sleeping;  /* open; the peer's doorbell comes through epoll */
    struct shm_list opening;   /* not yet open */
    struct shm_list dead;      /* told their user, who has not freed them yet */
    struct shm_list lingering; /* closed, with messages for which there was no room; oldest first */
    struct shm_list graveyard; /* to be freed at depth 0 */
    /* And may be in these. */
    struct shm_list ready;   /* have something for the user */
    struct shm_list output;  /* have transfers in their queue */
    struct shm_list sharing; /* their peer may access this domain's regions */

    struct shm_list listeners;
    struct shm_list listener_graveyard;
    struct shm_regions regions;
    struct shm_ringer ringer;
};

int shm_domain_open(const struct ros2_domain_options *options, struct ros2_domain **domain_p);
void shm_domain_close(struct ros2_domain *domain);
int shm_domain_fd(struct ros2_domain *domain);
int shm_domain_arm(struct ros2_domain *domain);
int shm_progress(struct ros2_domain *domain);
unsigned shm_domain_lingering(struct ros2_domain *domain);
void shm_domain_lend(struct ros2_domain *domain, int lent);
void shm_domain_wake(struct ros2_domain *domain);

/* Around everything that may run callbacks. The outermost leave frees what died in between. */
void shm_domain_enter(struct ros2_domain *domain);
void shm_domain_leave(struct ros2_domain *domain);

/* Makes progress() look at deadlines at when_ns, or earlier when one is set already. */
void shm_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns);

/* Puts fd into the epoll set; source is the first member of its owner. -ENOMEM, -ENOSPC. */
int shm_domain_watch(struct ros2_domain *domain, int fd, uint32_t events, enum shm_source *source);
/* Takes fd out of the epoll set, which a forked child must not touch: it shares it with its parent. Closes fd; never
 * shuts the connection down, for the same reason. */
void shm_domain_close_fd(struct ros2_domain *domain, int fd);

/* Is this a forked child, which must leave alone what it shares with its parent? Asked for each transfer, so without asking
 * the system where that is possible. */
static inline bool shm_domain_forked(const struct ros2_domain *domain)
{
    return domain->living ? *domain->living == 0 : getpid() != domain->pid;
}

/* Debug builds: the caller is the owner, or was lent the domain. A forked child is let through, to drop what it inherited. */
static inline void shm_domain_own(const struct ros2_domain *domain)
{
    (void)domain;
#ifdef ROS2_DEBUG
    assert(domain->lent || pthread_equal(domain->owner, pthread_self()) ||
           shm_domain_forked(domain));
#endif
}

#endif
