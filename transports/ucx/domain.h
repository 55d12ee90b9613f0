/* SPDX-License-Identifier: Apache-2.0 */
/* A domain: one context and one worker of UCX, and what its owner sleeps on. */
#ifndef UCX_DOMAIN_H
#define UCX_DOMAIN_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include "ros2/transport.h"
#include "transports/interface.h"
#include "transports/ucx/table.h"

TAILQ_HEAD(ucx_eps, ros2_ep);
TAILQ_HEAD(ucx_listeners, ros2_listener);
TAILQ_HEAD(ucx_regions, ros2_region);

struct ucx_arrival;
struct ucx_item;
struct ucx_work;

/* A choice of UCX's transports that this one works with. */
struct ucx_variant {
    const char *name; /* of the transport, for messages: "ucx+tcp" */
    const char *tls;  /* what UCX_TLS calls it; on devices of NVIDIA's rc_mlx5 comes before it */
    bool rdma;        /* a device moves the data: put and get are its own, and know its keys */
};

#define UCX_DESCRIPTORS_MAX 16u

/* owner: the thread that opened it. */
struct ros2_domain {
    /* Fixed after open. */
    const struct ros2_host *host;
    const struct ucx_variant *variant;
    const char *name; /* the variant's */
    uint32_t max_message;
    size_t send_queue;
    ucp_context_h context;
    ucp_worker_h worker;
    int epoll_fd, event_fd, timer_fd;
    int oob_fd;             /* tcp: the set of out-of-band sockets; or -1 */
    ucp_address_t *address; /* tcp: the worker's, of address_len bytes */
    size_t address_len;
    char interface[IFNAMSIZ];     /* tcp: the only one to use; empty: any */
    int set[UCX_DESCRIPTORS_MAX]; /* the epoll sets of the worker, see descriptors.c */
    unsigned set_count;
    int thread_set; /* that of UCX's thread, or -1 */
    pid_t pid;
    pthread_t owner;
    bool lent;

    unsigned depth; /* calls on the stack that may run callbacks: nothing is freed before it is 0 */
    bool in_progress; /* one of them is progress() */
    bool woken;       /* event_fd has been written */
    bool closing;
    const struct ros2_host
        *log_before; /* whose log UCX's words went to before the outermost call */
    unsigned linger_count;
    unsigned oob_skips; /* calls of progress() without a look at oob_fd */
    unsigned accepting; /* endpoints in that state */
    uint64_t timer_ns;  /* when timer_fd fires; 0: off */
    uint64_t beat_ns;   /* the next heartbeat; 0: none is needed */

    struct ucx_table table;     /* what a peer names by a number: endpoints, regions, gets */
    struct ucx_regions regions; /* without remote rights first: local memory is looked up there */
    struct ucx_eps eps;         /* connecting, accepting and open */
    struct ucx_eps ready;       /* have something for their user, or are down (ready_link) */
    struct ucx_eps dead;        /* told their user, who has not freed them yet */
    struct ucx_eps lingering;   /* closed, saying goodbye; oldest first */
    struct ucx_eps graveyard;
    struct ucx_listeners listeners, listener_graveyard;

    /* Memory for what comes and goes with each message: made when first needed, then kept. */
    struct ucx_work *free_works;
    struct ucx_item *free_items;
    struct ucx_arrival *free_arrivals;
    void *free_copies; /* of UCX_COPY_MAX bytes, the first of which lead to the next */
    unsigned free_copy_count;
};

int ucx_domain_open(const struct ucx_variant *variant, const struct ros2_domain_options *options,
                    struct ros2_domain **domain_p);
void ucx_domain_close(struct ros2_domain *domain);
int ucx_domain_fd(struct ros2_domain *domain);
int ucx_domain_arm(struct ros2_domain *domain);
unsigned ucx_domain_lingering(struct ros2_domain *domain);
void ucx_domain_lend(struct ros2_domain *domain, int lent);
void ucx_domain_wake(struct ros2_domain *domain);

/* -- for the other files -- */

/* Puts the error text of a step that UCX refused; returns -errno. */
int ucx_domain_complain(const struct ros2_domain *domain, const char *what, ucs_status_t status);
/* Addresses that this domain can have. 0, or with a text -EINVAL, -EAFNOSUPPORT. */
int ucx_domain_parse(const struct ros2_domain *domain, const char *verb, const char *address,
                     union ip_address *address_p);
/* What fd tells, the domain's descriptor does. 0, or -errno with a text. */
int ucx_domain_watch(struct ros2_domain *domain, int fd);
/* What the interface calls a status of UCX: -errno, or 0. */
int ucx_errno(ucs_status_t status);
/* Around everything that may run callbacks. The outermost leave frees what died in between. */
void ucx_domain_enter(struct ros2_domain *domain);
void ucx_domain_leave(struct ros2_domain *domain);
/* Makes progress() look at deadlines at when_ns, or earlier when one is set already. */
void ucx_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns);
/* One turn of the worker. Runs no callback of a user. */
unsigned ucx_domain_turn(struct ros2_domain *domain);

static inline bool ucx_domain_forked(const struct ros2_domain *domain)
{
    return getpid() != domain->pid;
}

/* Debug builds: the caller is the owner, or was lent the domain. A forked child is let through, to drop what it inherited. */
static inline void ucx_domain_own(const struct ros2_domain *domain)
{
    (void)domain;
#ifdef ROS2_DEBUG
    assert(domain->lent || pthread_equal(domain->owner, pthread_self()) ||
           ucx_domain_forked(domain));
#endif
}

#endif
