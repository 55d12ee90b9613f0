/* SPDX-License-Identifier: Apache-2.0 */
/* A domain: one domain of libfabric, one completion queue, one event queue, and what its owner sleeps on. */
#ifndef OFI_DOMAIN_H
#define OFI_DOMAIN_H

#include <assert.h>
#include <pthread.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_eq.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <unistd.h>

#include "ros2/transport.h"
#include "transports/ofi/queue.h"

TAILQ_HEAD(ofi_eps, ros2_ep);
TAILQ_HEAD(ofi_listeners, ros2_listener);
TAILQ_HEAD(ofi_regions, ros2_region);

/* A provider of libfabric that this transport works with. */
struct ofi_provider {
    const char *name;     /* of the transport, for messages: "ofi+tcp" */
    const char *provider; /* as libfabric calls it */
    bool
        rdma; /* a device moves the data: its completion queues have a fixed size, memory is pinned, keys are its own */
};

/* owner: the thread that opened it. */
struct ros2_domain {
    /* Fixed after open. */
    const struct ros2_host *host;
    const struct ofi_provider *provider;
    const char *name; /* the provider's */
    uint32_t max_message;
    size_t send_queue;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *fi;
    struct fid_eq *eq; /* of all endpoints; each listener has its own */
    bool local_keys;   /* the device reads and writes local memory by a key too (FI_MR_LOCAL) */
    int epoll_fd, event_fd, timer_fd;
    pid_t pid;
    pthread_t owner;
    bool lent;

    unsigned depth; /* calls on the stack that may run callbacks: nothing is freed before it is 0 */
    bool in_progress; /* one of them is progress() */
    bool woken;       /* event_fd has been written */
    unsigned linger_count;
    unsigned accepting;                     /* endpoints in that state */
    uint64_t timer_ns;                      /* when timer_fd fires; 0: off */
    uint64_t beat_ns;                       /* the next heartbeat; 0: none is needed */
    struct ofi_queue queue[OFI_QUEUES_MAX]; /* completions; made as endpoints come */
    unsigned queue_count;

    struct ofi_regions regions; /* without remote rights first: local memory is looked up there */
    struct ofi_eps eps;         /* connecting, accepting and open */
    struct ofi_eps ready;       /* have something for their user, or are down (ready_link) */
    struct ofi_eps dead;        /* told their user, who has not freed them yet */
    struct ofi_eps lingering;   /* closed, saying goodbye; oldest first */
    struct ofi_eps graveyard;
    struct ofi_listeners listeners, listener_graveyard;
};

int ofi_domain_open(const struct ofi_provider *provider, const struct ros2_domain_options *options,
                    struct ros2_domain **domain_p);
void ofi_domain_close(struct ros2_domain *domain);
int ofi_domain_fd(struct ros2_domain *domain);
int ofi_domain_arm(struct ros2_domain *domain);
unsigned ofi_domain_lingering(struct ros2_domain *domain);
void ofi_domain_lend(struct ros2_domain *domain, int lent);
void ofi_domain_wake(struct ros2_domain *domain);

/* -- for the other files -- */

/* Puts the error text of a step that libfabric refused (rc: its negative error); returns -errno. */
int ofi_domain_complain(const struct ros2_domain *domain, const char *what, int rc);
/* Around everything that may run callbacks. The outermost leave frees what died in between. */
void ofi_domain_enter(struct ros2_domain *domain);
void ofi_domain_leave(struct ros2_domain *domain);
/* Makes progress() look at deadlines at when_ns, or earlier when one is set already. */
void ofi_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns);
/* Puts the descriptor that a queue waits by into the set that the owner sleeps on, or takes it out. */
int ofi_domain_watch(struct ros2_domain *domain, struct fid *queue);
void ofi_domain_unwatch(struct ros2_domain *domain, struct fid *queue);

static inline bool ofi_domain_forked(const struct ros2_domain *domain)
{
    return getpid() != domain->pid;
}

/* Debug builds: the caller is the owner, or was lent the domain. A forked child is let through, to drop what it inherited. */
static inline void ofi_domain_own(const struct ros2_domain *domain)
{
    (void)domain;
#ifdef ROS2_DEBUG
    assert(domain->lent || pthread_equal(domain->owner, pthread_self()) ||
           ofi_domain_forked(domain));
#endif
}

#endif
