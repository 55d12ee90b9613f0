/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of a domain. Owner: the domain's thread. A turn that finds work makes no system call: it looks at the rings of
 * the endpoints that are polled, and at the bell that a peer sets which has rung the doorbell of one that is not. What only
 * the kernel knows (connections, hang-ups, timers) is asked for when the owner may have slept, when many turns in a row were
 * idle, and every millisecond. */
#include "config.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "transports/shm/endpoint.h"
#include "transports/shm/linger.h"
#include "transports/shm/listener.h"
#include "transports/shm/receive.h"
#include "transports/shm/rma.h"
#include "transports/shm/share.h"
#include "transports/shm/socket.h"

#define EVENTS 64
/* Idle turns in a row after which the kernel is asked: first and last figure. It doubles while there is nothing to hear, so
 * that two ends that poll never get that far between a message and its answer. */
#define IDLE_MIN 32u
#define IDLE_MAX 4096u
/* Turns after which the clock is asked whether the kernel should be. */
#define CLOCK_TURNS 16u
#define LOOK_NS     1000000ull
/* So many endpoints are polled however quiet they are; more only while they have something. */
#define HOT_MAX   8u
#define HOT_TURNS 1024u

/* -- who has something to do -- */

static int push_all(struct ros2_domain *domain)
{
    struct shm_list work;
    int count = 0;

    if (shm_list_empty(&domain->output))
        return 0;
    shm_list_take(&work, &domain->output);
    while (!shm_list_empty(&work)) {
        struct ros2_ep *ep = SHM_CONTAINER(work.next, struct ros2_ep, output_link);
        shm_list_remove(&ep->output_link);
        shm_list_append(&domain->output, &ep->output_link); /* the pump takes it out when done */
        if (ep->state == SHM_EP_LINGERING)
            shm_linger_go_on(ep);
        else
            count += shm_rma_pump(ep, SHM_TURN_BYTES);
    }
    return count;
}

/* Runs what has completed, ends what has failed. */
static int run_ready(struct ros2_domain *domain)
{
    struct shm_list work;
    int events = 0;

    if (shm_list_empty(&domain->ready))
        return 0;
    shm_list_take(&work, &domain->ready);
    while (!shm_list_empty(&work)) {
        struct ros2_ep *ep = SHM_CONTAINER(work.next, struct ros2_ep, ready_link);
        shm_list_remove(&ep->ready_link);
        events += shm_ep_run_done(ep);
        if (ep->state == SHM_EP_LINGERING && (ep->error || ep->hup)) {
            shm_linger_end(ep);
        } else if (ep->state <= SHM_EP_OPEN && ep->error) {
            shm_ep_die(ep, ep->error);
            events++;
        } else if (ep->state < SHM_EP_OPEN && ep->hup) {
            shm_ep_die(ep, -ECONNRESET);
            events++;
        } else if (ep->state == SHM_EP_OPEN && ep->hup) {
            shm_ep_heat(ep); /* what is in the ring comes first */
        }
    }
    return events;
}

static int receive_all(struct ros2_domain *domain)
{
    const bool many = domain->hot_count > HOT_MAX;
    struct shm_list work;
    int events = 0;

    shm_list_take(&work, &domain->hot);
    while (!shm_list_empty(&work)) {
        struct ros2_ep *ep = SHM_CONTAINER(work.next, struct ros2_ep, link);
        shm_list_remove(&ep->link);
        shm_list_append(&domain->hot, &ep->link);
        events += shm_receive(ep);
        if (many && ep->state == SHM_EP_OPEN && ep->idle > HOT_TURNS)
            shm_ep_sleep(ep);
    }
    return events;
}

/* -- the kernel -- */

static void retry_opening(struct ros2_domain *domain)
{
    struct shm_list work;

    shm_list_take(&work, &domain->opening);
    while (!shm_list_empty(&work)) {
        struct ros2_ep *ep = SHM_CONTAINER(work.next, struct ros2_ep, link);
        shm_list_remove(&ep->link);
        shm_list_append(&domain->opening, &ep->link);
        shm_socket_advance(ep);
    }
}

static void timer_fired(struct ros2_domain *domain)
{
    uint64_t expirations;

    if (read(domain->timer_fd, &expirations, sizeof expirations) < 0)
        return;
    domain->timer_ns = 0;
    uint64_t now_ns = domain->host->now_ns();
    shm_linger_expire(domain, now_ns);
    shm_listener_expire(domain, now_ns);
    retry_opening(domain);
    shm_share_retry(domain);
}

static int look(struct ros2_domain *domain)
{
    struct epoll_event event[EVENTS];
    int count = epoll_wait(domain->epoll_fd, event, EVENTS, 0);
    int handled = 0;

    for (int i = 0; i < count; i++) {
        enum shm_source *source = event[i].data.ptr;
        struct ros2_ep *ep = (struct ros2_ep *)(void *)source;
        switch (*source) {
        case SHM_SOURCE_TIMER:
            timer_fired(domain);
            handled++;
            break;
        case SHM_SOURCE_LISTENER:
            handled += shm_listener_accept((struct ros2_listener *)(void *)source);
            break;
        case SHM_SOURCE_EP:
            if (ep->fd < 0) /* it has ended in this very turn */
                break;
            shm_socket_event(ep);
            handled++;
            break;
        case SHM_SOURCE_DOORBELL:
            ep = SHM_CONTAINER(source, struct ros2_ep, doorbell_source);
            if (ep->fd < 0)
                break;
            shm_ep_heat(ep);
            ep->owed = false;
            handled++;
            break;
        }
    }
    if (count > 0 || domain->idle_limit == 0)
        domain->idle_limit = IDLE_MIN;
    return handled;
}

/* Is the kernel to be asked in this turn? */
static bool is_due(struct ros2_domain *domain)
{
    _Atomic uint32_t *bell = &domain->regions.table->head.bell;
    bool rung = atomic_load_explicit(bell, memory_order_acquire) != 0;
    bool idle = domain->idle >= domain->idle_limit;
    bool due = rung || idle || domain->armed || domain->connecting > 0;

    if (rung)
        atomic_store_explicit(bell, 0, memory_order_relaxed);
    if (!due && ++domain->turn % CLOCK_TURNS != 0)
        return false;
    uint64_t now_ns = domain->host->now_ns();
    if (!due && now_ns - domain->looked_ns < LOOK_NS)
        return false;
    if (idle && domain->idle_limit < IDLE_MAX)
        domain->idle_limit *= 2;
    domain->looked_ns = now_ns;
    domain->armed = false;
    domain->idle = 0;
    return true;
}

int shm_progress(struct ros2_domain *domain)
{
    int events;

    shm_domain_own(domain);
    if (domain->depth > 0) /* from a callback: the call below us goes on */
        return 0;
    shm_domain_enter(domain);
    events = push_all(domain);
    events += run_ready(domain);
    if (is_due(domain))
        events += look(domain);
    events += receive_all(domain);
    /* What the callbacks have queued leaves in the same turn, and what is out thereby completes in it. */
    events += push_all(domain);
    events += run_ready(domain);
    domain->idle = events > 0 ? 0 : domain->idle + 1;
    shm_domain_leave(domain);
    return events;
}
