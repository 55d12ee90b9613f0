/* SPDX-License-Identifier: Apache-2.0 */
/* What a domain is made of, and how its owner sleeps. Owner: the thread that opened it; two domains share nothing but what
 * UCX shares, its thread that looks after sockets of connections to come. A forked child makes no call of UCX: it would shut down
 * what it shares with its parent. */
#include "config.h"

#include "transports/ucx/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "transports/ucx/context.h"
#include "transports/ucx/copy.h"
#include "transports/ucx/descriptors.h"
#include "transports/ucx/endpoint.h"
#include "transports/ucx/linger.h"
#include "transports/ucx/listener.h"
#include "transports/ucx/message.h"
#include "transports/ucx/oob.h"
#include "transports/ucx/process.h"
#include "transports/ucx/receive.h"
#include "transports/ucx/work.h"

#define DEFAULT_MESSAGE    65536u
#define DEFAULT_SEND_QUEUE (256u << 10)
#define ARM_TRIES          8

/* -- errors -- */

int ucx_errno(ucs_status_t status)
{
    switch (status) {
    case UCS_OK:
    case UCS_INPROGRESS:
        return 0;
    case UCS_ERR_NO_MEMORY:
        return -ENOMEM;
    case UCS_ERR_INVALID_PARAM:
    case UCS_ERR_INVALID_ADDR:
        return -EINVAL;
    case UCS_ERR_NO_DEVICE:
        return -ENODEV;
    case UCS_ERR_UNREACHABLE:
        return -EHOSTUNREACH;
    case UCS_ERR_BUSY:
    case UCS_ERR_ALREADY_EXISTS:
        return -EBUSY;
    case UCS_ERR_REJECTED:
    case UCS_ERR_NOT_CONNECTED:
        return -ECONNREFUSED;
    case UCS_ERR_TIMED_OUT:
    case UCS_ERR_ENDPOINT_TIMEOUT:
        return -ETIMEDOUT;
    case UCS_ERR_CANCELED:
        return -ECANCELED;
    case UCS_ERR_EXCEEDS_LIMIT:
        return -ENOBUFS;
    case UCS_ERR_UNSUPPORTED:
    case UCS_ERR_NOT_IMPLEMENTED:
        return -ENOTSUP;
    case UCS_ERR_CONNECTION_RESET:
        return -ECONNRESET;
    default:
        return -EIO;
    }
}

int ucx_domain_complain(const struct ros2_domain *domain, const char *what, ucs_status_t status)
{
    return domain->host->fail(-ucx_errno(status), "%s: %s: %s", domain->name, what,
                              ucs_status_string(status));
}

int ucx_domain_parse(const struct ros2_domain *domain, const char *verb, const char *address,
                     union ip_address *address_p)
{
    if (ip_address_parse(address, address_p) < 0)
        return domain->host->fail(
            EINVAL, "%s: %s %s: not an address; write HOST:PORT or [V6]:PORT with numbers",
            domain->name, verb, address);
    /* UCX 1.13 writes an IPv6 address into the room of an IPv4 one, and behind it, when its interface has both. */
    if (!domain->variant->rdma && address_p->any.sa_family != AF_INET)
        return domain->host->fail(EAFNOSUPPORT,
                                  "%s: %s %s: UCX's tcp works with IPv4 only here; give an address "
                                  "of IPv4, or take transport tcp",
                                  domain->name, verb, address);
    return 0;
}

/* -- descriptors -- */

int ucx_domain_watch(struct ros2_domain *domain, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(domain->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return domain->host->fail(errno, "%s: epoll: %s", domain->name, strerrordesc_np(errno));
    return 0;
}

static int watch_worker(struct ros2_domain *domain, const int *before, unsigned before_count)
{
    int fd;
    ucs_status_t status = ucp_worker_get_efd(domain->worker, &fd);

    if (status != UCS_OK)
        return ucx_domain_complain(domain, "ucp_worker_get_efd", status);
    ucx_descriptors_find(domain, fd, before, before_count);
    ucx_descriptors_set_up(domain);
    return ucx_domain_watch(domain, fd);
}

static int open_fds(struct ros2_domain *domain)
{
    domain->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    domain->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    domain->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (domain->epoll_fd < 0 || domain->event_fd < 0 || domain->timer_fd < 0)
        return domain->host->fail(errno, "%s: open a domain: %s", domain->name,
                                  strerrordesc_np(errno));
    int rc = ucx_domain_watch(domain, domain->event_fd);
    return rc < 0 ? rc : ucx_domain_watch(domain, domain->timer_fd);
}

static void close_fds(const struct ros2_domain *domain)
{
    const int fd[] = {domain->epoll_fd, domain->event_fd, domain->timer_fd};

    for (size_t i = 0; i < sizeof fd / sizeof fd[0]; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

/* -- open and close -- */

/* Else UCX takes whichever is fastest, were it a bridge of containers. */
static void choose_interface(struct ros2_domain *domain, const struct ros2_domain_options *options)
{
    union ip_address address;

    if (domain->variant->rdma)
        return;
    if (options->local && ip_address_parse(options->local, &address) == 0)
        (void)interface_with(&address, domain->interface);
    else if (options->peer && ip_address_parse(options->peer, &address) == 0)
        (void)interface_towards(&address, domain->interface);
}

static void init(struct ros2_domain *domain, const struct ucx_variant *variant,
                 const struct ros2_domain_options *options)
{
    struct ucx_eps *list[] = {&domain->eps, &domain->ready, &domain->dead, &domain->lingering,
                              &domain->graveyard};

    domain->host = options->host;
    domain->variant = variant;
    domain->name = variant->name;
    domain->max_message = options->max_message ? options->max_message : DEFAULT_MESSAGE;
    domain->send_queue = options->send_queue ? options->send_queue : DEFAULT_SEND_QUEUE;
    domain->pid = getpid();
    domain->owner = pthread_self();
    domain->epoll_fd = domain->event_fd = domain->timer_fd = domain->thread_set = domain->oob_fd =
        -1;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        TAILQ_INIT(list[i]);
    TAILQ_INIT(&domain->regions);
    TAILQ_INIT(&domain->listeners);
    TAILQ_INIT(&domain->listener_graveyard);
    choose_interface(domain, options);
}

static void close_context(struct ros2_domain *domain)
{
    ucx_oob_close(domain);
    if (ucx_domain_forked(domain))
        ucx_descriptors_drop(domain);
    else
        ucx_context_close(domain);
}

static int open_worker(struct ros2_domain *domain)
{
    unsigned before_count;
    int *before = ucx_descriptors_sets(&before_count);
    int rc = ucx_context_open(domain);

    if (rc == 0)
        rc = watch_worker(domain, before, before_count);
    free(before);
    if (rc == 0 && !domain->variant->rdma)
        rc = ucx_oob_open(domain);
    return rc < 0 ? rc : ucx_receive_start(domain);
}

int ucx_domain_open(const struct ucx_variant *variant, const struct ros2_domain_options *options,
                    struct ros2_domain **domain_p)
{
    const struct ros2_host *host = options->host;

    if (options->max_message > UINT32_MAX / 4 || options->send_queue > UINT32_MAX / 4)
        return host->fail(EINVAL, "%s: open a domain: max_message and send_queue end at %u bytes",
                          variant->name, UINT32_MAX / 4);
    struct ros2_domain *domain = calloc(1, sizeof *domain);
    if (!domain)
        return host->fail(ENOMEM, "%s: open a domain: out of memory", variant->name);
    init(domain, variant, options);
    int rc = ucx_process_claim(host);
    if (rc == 0)
        rc = open_fds(domain);
    if (rc == 0)
        rc = open_worker(domain);
    if (rc < 0) {
        close_context(domain);
        close_fds(domain);
        free(domain);
        return rc;
    }
    *domain_p = domain;
    return 0;
}

static void free_graves(struct ros2_domain *domain, bool all)
{
    struct ros2_ep *ep, *next;

    for (ep = TAILQ_FIRST(&domain->graveyard); ep; ep = next) {
        next = TAILQ_NEXT(ep, link);
        if (!all && ep->work_count > 0)
            continue; /* which UCX still has */
        TAILQ_REMOVE(&domain->graveyard, ep, link);
        free(ep);
    }
    while (!TAILQ_EMPTY(&domain->listener_graveyard)) {
        struct ros2_listener *listener = TAILQ_FIRST(&domain->listener_graveyard);
        TAILQ_REMOVE(&domain->listener_graveyard, listener, link);
        free(listener);
    }
}

static void abort_all(struct ucx_eps *list)
{
    while (!TAILQ_EMPTY(list))
        ucx_ep_abort(TAILQ_FIRST(list));
}

void ucx_domain_close(struct ros2_domain *domain)
{
    domain->owner = pthread_self(); /* the last call may be another thread's */
    ucx_domain_enter(domain);
    while (!TAILQ_EMPTY(&domain->listeners))
        ucx_listener_close(TAILQ_FIRST(&domain->listeners));
    ucx_linger_settle_all(domain);
    domain->closing = true;
    abort_all(&domain->eps);
    abort_all(&domain->dead);
    while (!TAILQ_EMPTY(&domain->lingering))
        ucx_linger_end(TAILQ_FIRST(&domain->lingering));
    domain->depth--;
    close_context(domain);
    (void)ucx_context_log_to(domain->log_before);
    free_graves(domain, true);
    ucx_works_free(domain);
    ucx_messages_free(domain);
    ucx_arrivals_free(domain);
    ucx_copies_free(domain);
    ucx_table_fini(&domain->table);
    close_fds(domain);
    free(domain);
}

void ucx_domain_enter(struct ros2_domain *domain)
{
    if (domain->depth++ == 0)
        domain->log_before = ucx_context_log_to(domain->host);
}

void ucx_domain_leave(struct ros2_domain *domain)
{
    if (--domain->depth > 0)
        return;
    free_graves(domain, false);
    (void)ucx_context_log_to(domain->log_before);
}

/* -- turning and sleeping -- */

unsigned ucx_domain_turn(struct ros2_domain *domain)
{
    return ucp_worker_progress(domain->worker);
}

int ucx_domain_fd(struct ros2_domain *domain)
{
    ucx_domain_own(domain);
    return domain->epoll_fd;
}

static bool is_busy(const struct ros2_domain *domain)
{
    const struct ros2_listener *listener;

    TAILQ_FOREACH(listener, &domain->listeners, link)
    if (ucx_listener_busy(listener))
        return true;
    return domain->woken || !TAILQ_EMPTY(&domain->ready);
}

int ucx_domain_arm(struct ros2_domain *domain)
{
    int rc = -EAGAIN;

    ucx_domain_own(domain);
    ucx_domain_enter(domain);
    /* UCX refuses while it has something to do, which may be nothing for anybody here. */
    if (!domain->variant->rdma)
        ucx_oob_arm(domain);
    for (int i = 0; i < ARM_TRIES && rc < 0 && !is_busy(domain); i++) {
        if (ucp_worker_arm(domain->worker) == UCS_OK)
            rc = 0;
        else
            ucx_domain_turn(domain);
    }
    ucx_domain_leave(domain);
    return rc;
}

unsigned ucx_domain_lingering(struct ros2_domain *domain)
{
    return domain->linger_count;
}

void ucx_domain_lend(struct ros2_domain *domain, int lent)
{
    domain->lent = lent != 0;
}

void ucx_domain_wake(struct ros2_domain *domain)
{
    ucx_domain_own(domain);
    domain->woken = true;
    if (eventfd_write(domain->event_fd, 1) < 0)
        return; /* the counter is at its maximum: it polls readable already */
}

void ucx_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns)
{
    if ((domain->timer_ns && domain->timer_ns <= when_ns) || ucx_domain_forked(domain))
        return;
    domain->timer_ns = when_ns;
    uint64_t now_ns = domain->host->now_ns();
    uint64_t wait_ns = when_ns > now_ns ? when_ns - now_ns : 1;
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                           .tv_nsec = (long)(wait_ns % 1000000000u)}};
    (void)timerfd_settime(domain->timer_fd, 0, &spec, NULL);
}
