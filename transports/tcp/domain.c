/* SPDX-License-Identifier: Apache-2.0 */
/* A domain: one epoll set, one timer, and the lists of who has something to do. Owner: the thread that opened it; two
 * domains share nothing. Always: what the user must hear of waits in `ready`, what the peer must get in `output` or
 * behind EPOLLOUT, and nothing is freed while a callback may be on the stack. */
#include "config.h"

#include "transports/tcp/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "transports/tcp/endpoint.h"
#include "transports/tcp/linger.h"
#include "transports/tcp/listener.h"
#include "transports/tcp/transmit.h"

#define DEFAULT_MESSAGE    65536u
#define DEFAULT_SEND_QUEUE (256u << 10)
/* Room that a record takes besides its message: one of the longest message always fits the queue. */
#define RECORD_ROOM 4096u
#define EVENTS      64
#define DIRECT_MAX  4
/* In direct mode, how often epoll is asked for the rest: listeners, closed endpoints, timers. */
#define TURNS_BETWEEN_POLLS 16
#define TURN_BYTES          (1u << 20)

/* -- open and close -- */

int tcp_domain_watch(struct ros2_domain *domain, int fd, uint32_t events, enum tcp_source *source)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(domain->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return domain->host->fail(errno, "tcp: epoll: %s", strerrordesc_np(errno));
    return 0;
}

void tcp_domain_close_fd(struct ros2_domain *domain, int fd)
{
    /* Explicitly: a copy of fd in a forked child would keep it in the set. */
    if (!tcp_domain_forked(domain))
        (void)epoll_ctl(domain->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

static void init_lists(struct ros2_domain *domain)
{
    struct tcp_list *list[] = {
        &domain->eps,       &domain->ready,     &domain->output,    &domain->dead,
        &domain->lingering, &domain->graveyard, &domain->listeners, &domain->listener_graveyard,
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        tcp_list_init(list[i]);
}

static int open_fds(struct ros2_domain *domain)
{
    int rc;

    domain->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (domain->epoll_fd < 0)
        return domain->host->fail(errno, "tcp: open a domain: epoll: %s", strerrordesc_np(errno));
    domain->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (domain->timer_fd < 0) {
        rc = domain->host->fail(errno, "tcp: open a domain: timer: %s", strerrordesc_np(errno));
        goto close_epoll;
    }
    domain->timer_source = TCP_SOURCE_TIMER;
    rc = tcp_domain_watch(domain, domain->timer_fd, EPOLLIN, &domain->timer_source);
    if (rc < 0)
        goto close_timer;
    return 0;
close_timer:
    close(domain->timer_fd);
close_epoll:
    close(domain->epoll_fd);
    return rc;
}

int tcp_domain_open(const struct ros2_domain_options *options, struct ros2_domain **domain_p)
{
    const struct ros2_host *host = options->host;
    uint32_t max_message = options->max_message ? options->max_message : DEFAULT_MESSAGE;
    size_t send_queue = options->send_queue ? options->send_queue : DEFAULT_SEND_QUEUE;
    int rc = -ENOMEM;

    if (max_message > UINT32_MAX / 4 || send_queue > UINT32_MAX / 4)
        return host->fail(EINVAL, "tcp: open a domain: max_message and send_queue end at %u bytes",
                          UINT32_MAX / 4);
    struct ros2_domain *domain = calloc(1, sizeof *domain);
    if (!domain)
        goto no_memory;
    domain->scratch = malloc(TCP_SCRATCH_LEN);
    if (!domain->scratch)
        goto free_domain;
    domain->host = host;
    domain->max_message = max_message;
    domain->send_queue =
        send_queue > max_message + RECORD_ROOM ? send_queue : max_message + RECORD_ROOM;
    domain->pid = getpid();
    domain->owner = pthread_self();
    init_lists(domain);
    tcp_regions_init(&domain->regions);
    rc = open_fds(domain);
    if (rc < 0)
        goto free_scratch;
    *domain_p = domain;
    return 0;
free_scratch:
    free(domain->scratch);
free_domain:
    free(domain);
no_memory:
    return rc == -ENOMEM ? host->fail(ENOMEM, "tcp: open a domain: out of memory") : rc;
}

static void abort_all(struct tcp_list *list)
{
    while (!tcp_list_empty(list))
        tcp_ep_abort(TCP_CONTAINER(list->next, struct ros2_ep, link));
}

void tcp_domain_close(struct ros2_domain *domain)
{
    domain->owner = pthread_self(); /* the last call may be another thread's */
    tcp_domain_enter(domain);
    while (!tcp_list_empty(&domain->listeners))
        tcp_listener_close(TCP_CONTAINER(domain->listeners.next, struct ros2_listener, link));
    abort_all(&domain->eps);
    abort_all(&domain->dead);
    while (!tcp_list_empty(&domain->lingering))
        tcp_linger_end(TCP_CONTAINER(domain->lingering.next, struct ros2_ep, link));
    tcp_domain_leave(domain);
    close(domain->timer_fd);
    close(domain->epoll_fd);
    tcp_regions_fini(&domain->regions);
    free(domain->scratch);
    free(domain);
}

void tcp_domain_enter(struct ros2_domain *domain)
{
    domain->depth++;
}

void tcp_domain_leave(struct ros2_domain *domain)
{
    if (--domain->depth > 0)
        return;
    while (!tcp_list_empty(&domain->graveyard)) {
        struct ros2_ep *ep = TCP_CONTAINER(domain->graveyard.next, struct ros2_ep, link);
        tcp_list_remove(&ep->link);
        tcp_ep_free(ep);
    }
    while (!tcp_list_empty(&domain->listener_graveyard)) {
        struct ros2_listener *listener =
            TCP_CONTAINER(domain->listener_graveyard.next, struct ros2_listener, link);
        tcp_list_remove(&listener->link);
        free(listener);
    }
}

/* -- time -- */

void tcp_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns)
{
    if ((domain->timer_ns && domain->timer_ns <= when_ns) || tcp_domain_forked(domain))
        return;
    domain->timer_ns = when_ns;
    uint64_t now_ns = domain->host->now_ns();
    uint64_t wait_ns = when_ns > now_ns ? when_ns - now_ns : 1;
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                           .tv_nsec = (long)(wait_ns % 1000000000u)}};
    (void)timerfd_settime(domain->timer_fd, 0, &spec, NULL);
}

static void timer_fired(struct ros2_domain *domain)
{
    uint64_t expirations;

    if (read(domain->timer_fd, &expirations, sizeof expirations) < 0)
        return;
    domain->timer_ns = 0;
    uint64_t now_ns = domain->host->now_ns();
    tcp_linger_expire(domain, now_ns);
    tcp_listener_expire(domain, now_ns);
}

/* -- sending -- */

/* Sends what ep has queued. arming: the owner is about to sleep, so epoll must tell when the socket takes more. */
static int push(struct ros2_ep *ep, bool arming)
{
    struct ros2_domain *domain = ep->domain;
    int calls = tcp_transmit(ep, TURN_BYTES);

    if (ep->queue.count == 0 || ep->error)
        return calls;
    bool wait = ep->stuck && (arming || !tcp_domain_direct(domain));
    if (wait)
        tcp_ep_interest(ep, EPOLLIN | EPOLLOUT);
    if (wait && ep->interest & EPOLLOUT)
        tcp_list_remove(&ep->output_link);
    else if (tcp_list_empty(&ep->output_link))
        tcp_list_append(&domain->output, &ep->output_link);
    return calls;
}

/* retry: also those that were stuck. */
static int push_all(struct ros2_domain *domain, bool retry, bool arming)
{
    struct tcp_list work;
    int calls = 0;

    tcp_list_take(&work, &domain->output);
    while (!tcp_list_empty(&work)) {
        struct ros2_ep *ep = TCP_CONTAINER(work.next, struct ros2_ep, output_link);
        tcp_list_remove(&ep->output_link);
        if (retry)
            ep->stuck = false;
        calls += push(ep, arming);
    }
    return calls;
}

/* -- who has something to do -- */

/* Runs what has completed, reads what was left over, ends what has failed. */
static int run_ready(struct ros2_domain *domain)
{
    struct tcp_list work;
    int events = 0;

    tcp_list_take(&work, &domain->ready);
    while (!tcp_list_empty(&work)) {
        struct ros2_ep *ep = TCP_CONTAINER(work.next, struct ros2_ep, ready_link);
        tcp_list_remove(&ep->ready_link);
        events += tcp_ep_run_done(ep);
        if (ep->state == TCP_EP_CONNECTING && ep->error) {
            tcp_ep_die(ep, ep->error);
            events++;
        } else if (ep->state == TCP_EP_OPEN && (ep->backlog || ep->error)) {
            events += tcp_ep_receive(ep);
        }
    }
    return events;
}

static int ep_event(struct ros2_ep *ep, uint32_t events)
{
    int handled = 0;

    switch (ep->state) {
    case TCP_EP_CONNECTING:
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return 0;
        tcp_ep_connect_done(ep);
        return 1;
    case TCP_EP_OPEN:
        if (events & EPOLLOUT) {
            ep->stuck = false;
            handled += push(ep, false);
        }
        if (events & ~(uint32_t)EPOLLOUT && !ep->backlog)
            handled += tcp_ep_receive(ep);
        return handled;
    case TCP_EP_LINGERING:
        tcp_linger_event(ep, events);
        return 1;
    case TCP_EP_DEAD:
    case TCP_EP_FREED:
        break; /* by a callback of this very turn */
    }
    return 0;
}

static int poll_events(struct ros2_domain *domain)
{
    struct epoll_event event[EVENTS];
    int count = epoll_wait(domain->epoll_fd, event, EVENTS, 0);
    int handled = 0;

    for (int i = 0; i < count; i++) {
        enum tcp_source *source = event[i].data.ptr;
        switch (*source) {
        case TCP_SOURCE_TIMER:
            timer_fired(domain);
            handled++;
            break;
        case TCP_SOURCE_LISTENER:
            handled += tcp_listener_accept((struct ros2_listener *)(void *)source);
            break;
        case TCP_SOURCE_EP:
            handled += ep_event((struct ros2_ep *)(void *)source, event[i].events);
            break;
        }
    }
    return handled;
}

/* Few endpoints: try each. */
static int read_each(struct ros2_domain *domain)
{
    struct ros2_ep *ep[DIRECT_MAX];
    int count = 0;
    int handled = 0;

    for (struct tcp_list *l = domain->eps.next; l != &domain->eps && count < DIRECT_MAX;
         l = l->next)
        ep[count++] = TCP_CONTAINER(l, struct ros2_ep, link);
    for (int i = 0; i < count; i++)
        if (ep[i]->state == TCP_EP_OPEN && !ep[i]->backlog)
            handled += tcp_ep_receive(ep[i]);
    return handled;
}

int tcp_progress(struct ros2_domain *domain)
{
    int events = 0;

    tcp_domain_own(domain);
    if (domain->depth > 0) /* from a callback: the call below us goes on */
        return 0;
    tcp_domain_enter(domain);
    bool due = domain->connecting > 0 || domain->bulk > 0 || !tcp_domain_direct(domain) ||
               ++domain->turn % TURNS_BETWEEN_POLLS == 0;
    bool armed = domain->armed;
    domain->armed = false;
    events += push_all(domain, true, false);
    events += run_ready(domain);
    int read = due ? 0 : read_each(domain);
    /* Who was woken and finds nothing to read was woken by something else. */
    if (due || (armed && read == 0))
        read += poll_events(domain);
    events += read;
    /* What the callbacks have queued leaves in the same turn, and what is out thereby completes in it. */
    events += push_all(domain, false, false);
    if (!tcp_list_empty(&domain->ready))
        events += run_ready(domain);
    tcp_domain_leave(domain);
    return events;
}

int tcp_domain_fd(struct ros2_domain *domain)
{
    tcp_domain_own(domain);
    return domain->epoll_fd;
}

void tcp_domain_lend(struct ros2_domain *domain, int lent)
{
    domain->lent = lent;
}

void tcp_domain_wake(struct ros2_domain *domain)
{
    tcp_domain_own(domain);
    tcp_domain_wake_at(domain, domain->host->now_ns());
}

unsigned tcp_domain_lingering(struct ros2_domain *domain)
{
    tcp_domain_own(domain);
    return domain->linger_count;
}

int tcp_domain_arm(struct ros2_domain *domain)
{
    tcp_domain_own(domain);
    push_all(domain, true, true);
    if (!tcp_list_empty(&domain->ready))
        return -EAGAIN;
    /* What the budget of one push has left behind. */
    if (!tcp_list_empty(&domain->output))
        return -EAGAIN;
    domain->armed = true;
    return 0;
}
