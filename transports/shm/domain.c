/* SPDX-License-Identifier: Apache-2.0 */
/* A domain: opening, closing, arming, time. Owner: the thread that opened it; two domains share nothing. Always: what the
 * user must hear of waits in `ready`, what the peer must get in `output` or its ring, and nothing is freed while a callback
 * may be on the stack. */
#include "config.h"

#include "transports/shm/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include "transports/shm/endpoint.h"
#include "transports/shm/linger.h"
#include "transports/shm/listener.h"
#include "transports/shm/rma.h"
#include "transports/shm/socket.h"

#define DEFAULT_MESSAGE    65536u
#define DEFAULT_SEND_QUEUE (256u << 10)
/* Room that an item takes besides its message: one of the longest message, or of the most pieces, always fits the queue. */
#define ITEM_ROOM 8192u

/* -- open and close -- */

int shm_domain_watch(struct ros2_domain *domain, int fd, uint32_t events, enum shm_source *source)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(domain->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return domain->host->fail(errno, "shm: epoll: %s", strerrordesc_np(errno));
    return 0;
}

void shm_domain_close_fd(struct ros2_domain *domain, int fd)
{
    /* Explicitly: a copy of fd in a forked child would keep it in the set. */
    if (!shm_domain_forked(domain))
        (void)epoll_ctl(domain->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

static void init_lists(struct ros2_domain *domain)
{
    struct shm_list *list[] = {
        &domain->hot,
        &domain->sleeping,
        &domain->opening,
        &domain->dead,
        &domain->ready,
        &domain->lingering,
        &domain->graveyard,
        &domain->output,
        &domain->sharing,
        &domain->listeners,
        &domain->listener_graveyard,
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        shm_list_init(list[i]);
}

static int open_fds(struct ros2_domain *domain)
{
    int rc;

    domain->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (domain->epoll_fd < 0)
        return domain->host->fail(errno, "shm: open a domain: epoll: %s", strerrordesc_np(errno));
    domain->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (domain->timer_fd < 0) {
        rc = domain->host->fail(errno, "shm: open a domain: timer: %s", strerrordesc_np(errno));
        goto close_epoll;
    }
    domain->timer_source = SHM_SOURCE_TIMER;
    rc = shm_domain_watch(domain, domain->timer_fd, EPOLLIN, &domain->timer_source);
    if (rc < 0)
        goto close_timer;
    rc = shm_regions_init(&domain->regions);
    if (rc < 0) {
        domain->host->fail(-rc, "shm: open a domain: the table of regions: %s",
                           strerrordesc_np(-rc));
        goto close_timer;
    }
    return 0;
close_timer:
    close(domain->timer_fd);
close_epoll:
    close(domain->epoll_fd);
    return rc;
}

/* A page that is empty in a forked child. Without one getpid() does, a system call each time. */
static const volatile uint32_t *open_living(void)
{
    uint32_t *page =
        mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return NULL;
    if (madvise(page, SHM_PAGE, MADV_WIPEONFORK) < 0) {
        munmap(page, SHM_PAGE);
        return NULL;
    }
    *page = 1;
    return page;
}

static void close_living(struct ros2_domain *domain)
{
    if (domain->living)
        munmap((void *)(uintptr_t)domain->living, SHM_PAGE);
}

int shm_domain_open(const struct ros2_domain_options *options, struct ros2_domain **domain_p)
{
    const struct ros2_host *host = options->host;
    uint32_t max_message = options->max_message ? options->max_message : DEFAULT_MESSAGE;
    size_t send_queue = options->send_queue ? options->send_queue : DEFAULT_SEND_QUEUE;
    int rc = -ENOMEM;

    if (max_message > UINT32_MAX / 4 || send_queue > UINT32_MAX / 4)
        return host->fail(EINVAL, "shm: open a domain: max_message and send_queue end at %u bytes",
                          UINT32_MAX / 4);
    struct ros2_domain *domain = calloc(1, sizeof *domain);
    if (!domain)
        goto no_memory;
    domain->scratch = malloc(SHM_RECORD_MAX);
    if (!domain->scratch)
        goto free_domain;
    domain->host = host;
    domain->memory = options->memory;
    domain->max_message = max_message;
    domain->send_queue =
        send_queue > max_message + ITEM_ROOM ? send_queue : max_message + ITEM_ROOM;
    domain->pid = getpid();
    domain->owner = pthread_self();
    domain->living = open_living();
    init_lists(domain);
    rc = open_fds(domain);
    if (rc < 0)
        goto free_scratch;
    *domain_p = domain;
    return 0;
free_scratch:
    close_living(domain);
    free(domain->scratch);
free_domain:
    free(domain);
no_memory:
    return rc == -ENOMEM ? host->fail(ENOMEM, "shm: open a domain: out of memory") : rc;
}

static void abort_all(struct shm_list *list)
{
    while (!shm_list_empty(list))
        shm_ep_abort(SHM_CONTAINER(list->next, struct ros2_ep, link));
}

void shm_domain_close(struct ros2_domain *domain)
{
    domain->owner = pthread_self(); /* the last call may be another thread's */
    shm_domain_enter(domain);
    while (!shm_list_empty(&domain->listeners))
        shm_listener_close(SHM_CONTAINER(domain->listeners.next, struct ros2_listener, link));
    abort_all(&domain->opening);
    abort_all(&domain->hot);
    abort_all(&domain->sleeping);
    abort_all(&domain->dead);
    while (!shm_list_empty(&domain->lingering))
        shm_linger_end(SHM_CONTAINER(domain->lingering.next, struct ros2_ep, link));
    shm_domain_leave(domain);
    close(domain->timer_fd);
    close(domain->epoll_fd);
    shm_ringer_fini(domain);
    shm_regions_fini(&domain->regions);
    close_living(domain);
    free(domain->scratch);
    free(domain);
}

void shm_domain_enter(struct ros2_domain *domain)
{
    domain->depth++;
}

void shm_domain_leave(struct ros2_domain *domain)
{
    if (--domain->depth > 0)
        return;
    while (!shm_list_empty(&domain->graveyard)) {
        struct ros2_ep *ep = SHM_CONTAINER(domain->graveyard.next, struct ros2_ep, link);
        shm_list_remove(&ep->link);
        shm_ep_free(ep);
    }
    while (!shm_list_empty(&domain->listener_graveyard)) {
        struct ros2_listener *listener =
            SHM_CONTAINER(domain->listener_graveyard.next, struct ros2_listener, link);
        shm_list_remove(&listener->link);
        free(listener);
    }
}

/* -- sleeping -- */

void shm_domain_wake_at(struct ros2_domain *domain, uint64_t when_ns)
{
    if ((domain->timer_ns && domain->timer_ns <= when_ns) || shm_domain_forked(domain))
        return;
    domain->timer_ns = when_ns;
    uint64_t now_ns = domain->host->now_ns();
    uint64_t wait_ns = when_ns > now_ns ? when_ns - now_ns : 1;
    struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                           .tv_nsec = (long)(wait_ns % 1000000000u)}};
    (void)timerfd_settime(domain->timer_fd, 0, &spec, NULL);
}

int shm_domain_fd(struct ros2_domain *domain)
{
    shm_domain_own(domain);
    return domain->epoll_fd;
}

void shm_domain_lend(struct ros2_domain *domain, int lent)
{
    domain->lent = lent;
}

void shm_domain_wake(struct ros2_domain *domain)
{
    shm_domain_own(domain);
    shm_domain_wake_at(domain, domain->host->now_ns());
}

unsigned shm_domain_lingering(struct ros2_domain *domain)
{
    shm_domain_own(domain);
    return domain->linger_count;
}

/* Does what is queued; all that is left waits for its peer, which is told to wake this side. */
static bool settle_output(struct ros2_domain *domain)
{
    struct shm_list work;
    bool settled = true;

    shm_list_take(&work, &domain->output);
    while (!shm_list_empty(&work)) {
        struct ros2_ep *ep = SHM_CONTAINER(work.next, struct ros2_ep, output_link);
        shm_list_remove(&ep->output_link);
        shm_list_append(&domain->output, &ep->output_link);
        if (ep->state < SHM_EP_OPEN)
            continue; /* not before it is connected, which epoll tells */
        if (ep->state == SHM_EP_LINGERING)
            shm_linger_go_on(ep);
        else
            shm_rma_pump(ep, SHM_TURN_BYTES);
        if (ep->state <= SHM_EP_LINGERING && shm_queue_head(&ep->queue))
            settled &= ep->blocked && shm_ep_sleep(ep);
    }
    return settled;
}

int shm_domain_arm(struct ros2_domain *domain)
{
    shm_domain_own(domain);
    bool settled = settle_output(domain);
    while (settled && !shm_list_empty(&domain->hot))
        settled = shm_ep_sleep(SHM_CONTAINER(domain->hot.next, struct ros2_ep, link));
    if (!settled || !shm_list_empty(&domain->ready))
        return -EAGAIN;
    domain->armed = true;
    return 0;
}
