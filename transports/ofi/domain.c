/* SPDX-License-Identifier: Apache-2.0 */
/* What a domain is made of, and how its owner sleeps. Owner: the thread that opened it; two domains share nothing.
 * libfabric is asked for manual progress by one thread, so that it starts none of its own. A forked child makes no call of
 * libfabric: it would shut down and unregister what it shares with its parent. */
#include "config.h"

#include "transports/ofi/domain.h"

#include <errno.h>
#include <netdb.h>
#include <rdma/fi_errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "transports/address.h"
#include "transports/ofi/descriptors.h"
#include "transports/ofi/endpoint.h"
#include "transports/ofi/linger.h"
#include "transports/ofi/listener.h"
#include "transports/ofi/message.h"
#include "transports/ofi/rdma.h"

#define DEFAULT_MESSAGE    65536u
#define DEFAULT_SEND_QUEUE (256u << 10)
#define API_VERSION        FI_VERSION(1, 17)

/* -- libfabric's objects -- */

int ofi_domain_complain(const struct ros2_domain *domain, const char *what, int rc)
{
    return domain->host->fail(-rc, "%s: %s: %s", domain->name, what, fi_strerror(-rc));
}

/* libfabric's words for an address, and its name of their format; FI_FORMAT_UNSPEC: nothing, for the wildcard, which is every
 * device's. */
static uint32_t name_address(const char *address, char node[IP_ADDRESS_TEXT], char port[8])
{
    union ip_address parsed;
    static const struct in6_addr any6;

    if (ip_address_parse(address, &parsed) < 0)
        return FI_FORMAT_UNSPEC;
    if (parsed.any.sa_family == AF_INET ? parsed.v4.sin_addr.s_addr == 0
                                        : memcmp(&parsed.v6.sin6_addr, &any6, sizeof any6) == 0)
        return FI_FORMAT_UNSPEC;
    if (getnameinfo(&parsed.any, ip_address_len(&parsed), node, IP_ADDRESS_TEXT, port, 8,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return FI_FORMAT_UNSPEC;
    return parsed.any.sa_family == AF_INET6 ? FI_SOCKADDR_IN6 : FI_SOCKADDR_IN;
}

static int find_provider(struct ros2_domain *domain, const struct ros2_domain_options *options)
{
    const char *address = options->local ? options->local : options->peer;
    char node[IP_ADDRESS_TEXT], port[8];
    const uint32_t format =
        domain->provider->rdma && address ? name_address(address, node, port) : FI_FORMAT_UNSPEC;
    const bool named = format != FI_FORMAT_UNSPEC;
    const char *provider = domain->provider->provider;
    struct fi_info *hints = fi_allocinfo();
    int rc = -FI_ENOMEM;

    if (!hints)
        goto out;
    hints->caps = FI_MSG | FI_RMA;
    hints->ep_attr->type = FI_EP_MSG;
    hints->addr_format = format; /* for an address of IPv6 verbs has nothing unless asked so */
    hints->domain_attr->mr_mode = FI_MR_VIRT_ADDR | FI_MR_PROV_KEY | FI_MR_ALLOCATED |
                                  (domain->provider->rdma ? FI_MR_LOCAL : 0);
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
    hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
    hints->tx_attr->size = OFI_WORKS;
    hints->rx_attr->size = OFI_WINDOW;
    /* The message of a put may follow its data on the same connection, and is behind it then. */
    hints->tx_attr->msg_order = FI_ORDER_SAW | FI_ORDER_SAS;
    hints->fabric_attr->prov_name = strdup(provider);
    if (hints->fabric_attr->prov_name)
        rc = fi_getinfo(API_VERSION, named ? node : NULL, named && !options->local ? port : NULL,
                        named && options->local ? FI_SOURCE : 0, hints, &domain->info);
    fi_freeinfo(hints);
out:
    if (rc == -FI_ENODATA)
        return domain->host->fail(
            ENODEV,
            "%s: libfabric has no provider \"%s\" with connections and "
            "put/get here%s%s%s",
            domain->name, provider, named ? " for address " : "", named ? node : "",
            domain->provider->rdma ? "; rdma link lists the devices that are up"
                                   : "; fi_info -l lists what it has");
    return rc < 0 ? ofi_domain_complain(domain, "fi_getinfo", rc) : 0;
}

static int open_fabric(struct ros2_domain *domain)
{
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_FD};
    int rc;

    if ((rc = fi_fabric(domain->info->fabric_attr, &domain->fabric, NULL)) < 0)
        return ofi_domain_complain(domain, "fi_fabric", rc);
    if ((rc = fi_domain(domain->fabric, domain->info, &domain->fi, NULL)) < 0)
        return ofi_domain_complain(domain, "fi_domain", rc);
    domain->local_keys = (domain->info->domain_attr->mr_mode & FI_MR_LOCAL) != 0;
    if ((rc = ofi_queues_open(domain)) < 0)
        return rc;
    if ((rc = fi_eq_open(domain->fabric, &eq, &domain->eq, NULL)) < 0)
        return ofi_domain_complain(domain, "event queue", rc);
    ofi_descriptors_set_up(&domain->eq->fid);
    return ofi_domain_watch(domain, &domain->eq->fid);
}

static void close_fid(struct fid *fid)
{
    if (fid)
        fi_close(fid);
}

static void close_fabric(struct ros2_domain *domain)
{
    if (ofi_domain_forked(domain)) {
        /* The memory behind them stays: to free it would end what the parent uses. */
        ofi_queues_drop(domain);
        ofi_descriptors_drop(&domain->eq->fid);
        return;
    }
    close_fid(domain->eq ? &domain->eq->fid : NULL);
    ofi_queues_close(domain);
    close_fid(domain->fi ? &domain->fi->fid : NULL);
    close_fid(domain->fabric ? &domain->fabric->fid : NULL);
    fi_freeinfo(domain->info);
}

/* -- descriptors -- */

static int watch_fd(struct ros2_domain *domain, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(domain->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return domain->host->fail(errno, "%s: epoll: %s", domain->name, strerrordesc_np(errno));
    return 0;
}

int ofi_domain_watch(struct ros2_domain *domain, struct fid *queue)
{
    int fd;
    int rc = fi_control(queue, FI_GETWAIT, &fd);

    return rc < 0 ? ofi_domain_complain(domain, "FI_GETWAIT", rc) : watch_fd(domain, fd);
}

void ofi_domain_unwatch(struct ros2_domain *domain, struct fid *queue)
{
    int fd;

    if (fi_control(queue, FI_GETWAIT, &fd) == 0)
        (void)epoll_ctl(domain->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static int open_fds(struct ros2_domain *domain)
{
    domain->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    domain->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    domain->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (domain->epoll_fd < 0 || domain->event_fd < 0 || domain->timer_fd < 0)
        return domain->host->fail(errno, "%s: open a domain: %s", domain->name,
                                  strerrordesc_np(errno));
    int rc = watch_fd(domain, domain->event_fd);
    return rc < 0 ? rc : watch_fd(domain, domain->timer_fd);
}

static void close_fds(const struct ros2_domain *domain)
{
    const int fd[] = {domain->epoll_fd, domain->event_fd, domain->timer_fd};

    for (size_t i = 0; i < sizeof fd / sizeof fd[0]; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

/* -- open and close -- */

static void init(struct ros2_domain *domain, const struct ofi_provider *provider,
                 const struct ros2_domain_options *options)
{
    struct ofi_eps *list[] = {&domain->eps, &domain->ready, &domain->dead, &domain->lingering,
                              &domain->graveyard};

    domain->host = options->host;
    domain->provider = provider;
    domain->name = provider->name;
    domain->max_message = options->max_message ? options->max_message : DEFAULT_MESSAGE;
    domain->send_queue = options->send_queue ? options->send_queue : DEFAULT_SEND_QUEUE;
    domain->pid = getpid();
    domain->owner = pthread_self();
    domain->epoll_fd = domain->event_fd = domain->timer_fd = -1;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        TAILQ_INIT(list[i]);
    TAILQ_INIT(&domain->regions);
    TAILQ_INIT(&domain->listeners);
    TAILQ_INIT(&domain->listener_graveyard);
}

int ofi_domain_open(const struct ofi_provider *provider, const struct ros2_domain_options *options,
                    struct ros2_domain **domain_p)
{
    const struct ros2_host *host = options->host;
    const char *name = provider->name;

    if (options->max_message > UINT32_MAX / 4 || options->send_queue > UINT32_MAX / 4)
        return host->fail(EINVAL, "%s: open a domain: max_message and send_queue end at %u bytes",
                          name, UINT32_MAX / 4);
    struct ros2_domain *domain = calloc(1, sizeof *domain);
    if (!domain)
        return host->fail(ENOMEM, "%s: open a domain: out of memory", name);
    init(domain, provider, options);
    int rc = open_fds(domain);
    if (rc == 0)
        rc = ofi_rdma_claim(domain);
    if (rc == 0)
        rc = find_provider(domain, options);
    if (rc == 0)
        rc = open_fabric(domain);
    if (rc == 0 && provider->rdma)
        rc = ofi_rdma_check_revokes(domain);
    if (rc < 0) {
        close_fabric(domain);
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
        if (!all && !ofi_mark_passed(&ep->ended))
            continue;
        TAILQ_REMOVE(&domain->graveyard, ep, link);
        ofi_ep_free(ep);
    }
    while (!TAILQ_EMPTY(&domain->listener_graveyard)) {
        struct ros2_listener *listener = TAILQ_FIRST(&domain->listener_graveyard);
        TAILQ_REMOVE(&domain->listener_graveyard, listener, link);
        free(listener);
    }
}

static void abort_all(struct ofi_eps *list)
{
    while (!TAILQ_EMPTY(list))
        ofi_ep_abort(TAILQ_FIRST(list));
}

void ofi_domain_close(struct ros2_domain *domain)
{
    domain->owner = pthread_self(); /* the last call may be another thread's */
    ofi_domain_enter(domain);
    while (!TAILQ_EMPTY(&domain->listeners))
        ofi_listener_close(TAILQ_FIRST(&domain->listeners));
    abort_all(&domain->eps);
    abort_all(&domain->dead);
    while (!TAILQ_EMPTY(&domain->lingering))
        ofi_linger_end(TAILQ_FIRST(&domain->lingering));
    domain->depth--;
    /* Once the completion queue is closed nothing names an endpoint any more. */
    close_fabric(domain);
    free_graves(domain, true);
    close_fds(domain);
    free(domain);
}

void ofi_domain_enter(struct ros2_domain *domain)
{
    domain->depth++;
}

void ofi_domain_leave(struct ros2_domain *domain)
{
    if (--domain->depth == 0)
        free_graves(domain, false);
}

/* -- sleeping -- */

int ofi_domain_fd(struct ros2_domain *domain)
{
    ofi_domain_own(domain);
    return domain->epoll_fd;
}

/* Whether no queue has anything, and each will signal its descriptor when it has. */
static int try_wait(struct ros2_domain *domain)
{
    struct fid *eq = &domain->eq->fid;
    struct ros2_listener *listener;
    errno = 0; /* see progress.c */
    int rc = fi_trywait(domain->fabric, &eq, 1);

    for (unsigned i = 0; rc == 0 && i < domain->queue_count; i++) {
        if (domain->queue[i].broken)
            continue;
        struct fid *cq = &domain->queue[i].cq->fid;
        errno = 0;
        rc = fi_trywait(domain->fabric, &cq, 1);
    }

    TAILQ_FOREACH(listener, &domain->listeners, link)
    {
        if (rc == 0 && !listener->paused) {
            struct fid *fid = &listener->eq->fid;
            errno = 0;
            rc = fi_trywait(domain->fabric, &fid, 1);
        }
    }
    return rc < 0 ? -EAGAIN : 0;
}

int ofi_domain_arm(struct ros2_domain *domain)
{
    struct ros2_ep *ep;

    ofi_domain_own(domain);
    TAILQ_FOREACH(ep, &domain->eps, link)
    ofi_message_pump(ep);
    TAILQ_FOREACH(ep, &domain->lingering, link)
    ofi_message_pump(ep);
    if (!TAILQ_EMPTY(&domain->ready) || !TAILQ_EMPTY(&domain->graveyard) || domain->woken)
        return -EAGAIN;
    return try_wait(domain);
}

unsigned ofi_domain_lingering(struct ros2_domain *domain)
{
    return domain->linger_count;
}

void ofi_domain_lend(struct ros2_domain *domain, int lent)
{
    domain->lent = lent != 0;
}

void ofi_domain_wake(struct ros2_domain *domain)
{
    ofi_domain_own(domain);
    domain->woken = true;
    if (eventfd_write(domain->event_fd, 1) < 0)
        return; /* the counter is at its maximum: it polls readable already */
}

void ofi_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns)
{
    if ((domain->timer_ns && domain->timer_ns <= when_ns) || ofi_domain_forked(domain))
        return;
    domain->timer_ns = when_ns;
    uint64_t now_ns = domain->host->now_ns();
    uint64_t wait_ns = when_ns > now_ns ? when_ns - now_ns : 1;
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                           .tv_nsec = (long)(wait_ns % 1000000000u)}};
    (void)timerfd_settime(domain->timer_fd, 0, &spec, NULL);
}
