/* SPDX-License-Identifier: Apache-2.0 */
/* One turn: the worker's, in which callbacks of UCX take down what happened; then those who asked for a connection, then
 * those who have something for their user. What was received is delivered before a connection ends. Owner: the domain's
 * thread. */
#include "config.h"

#include "transports/ucx/progress.h"

#include <sys/eventfd.h>

#include "transports/ucx/heartbeat.h"
#include "transports/ucx/linger.h"
#include "transports/ucx/listener.h"
#include "transports/ucx/oob.h"
#include "transports/ucx/receive.h"

/* Each reads a batch of events; together they bound a call. */
#define TURNS_MAX 32

static int run_ready(struct ros2_domain *domain)
{
    struct ros2_ep *ep;
    int turns = 0, count = 0;

    /* Those of now: who becomes ready meanwhile has its turn with the next call. */
    TAILQ_FOREACH(ep, &domain->ready, ready_link)
    turns++;
    while (turns-- > 0 && (ep = TAILQ_FIRST(&domain->ready)) != NULL) {
        TAILQ_REMOVE(&domain->ready, ep, ready_link);
        ep->in_ready = false;
        count += ucx_op_run_done(ep);
        count += ucx_receive_deliver(ep);
        if (!ep->down || !ucx_ep_alive(ep))
            continue;
        if (ep->state == UCX_EP_LINGERING)
            ucx_linger_end(ep);
        else
            ucx_ep_die(ep, ep->error);
        count++;
    }
    return count;
}

static void timer_fired(struct ros2_domain *domain)
{
    uint64_t expirations;

    if (domain->timer_ns == 0 || domain->host->now_ns() < domain->timer_ns)
        return;
    if (read(domain->timer_fd, &expirations, sizeof expirations) < 0)
        return; /* it is a moment behind our clock: it will wake us */
    domain->timer_ns = 0;
    domain->oob_skips = 0;
    ucx_ep_expire(domain, domain->host->now_ns());
    ucx_heartbeat(domain, domain->host->now_ns());
}

int ucx_progress(struct ros2_domain *domain)
{
    struct ros2_listener *listener;
    int count = 0;

    ucx_domain_own(domain);
    if (domain->in_progress)
        return 0;
    domain->in_progress = true;
    ucx_domain_enter(domain);
    if (domain->woken) {
        eventfd_t value;
        (void)eventfd_read(domain->event_fd, &value);
        domain->woken = false;
    }
    timer_fired(domain);
    for (int i = 0; i < TURNS_MAX; i++) {
        unsigned events = ucx_domain_turn(domain);
        if (events == 0)
            break;
        count += (int)events;
    }
    if (!domain->variant->rdma)
        count += ucx_oob_progress(domain);
    TAILQ_FOREACH(listener, &domain->listeners, link)
    count += ucx_listener_progress(listener);
    count += run_ready(domain);
    domain->in_progress = false;
    ucx_domain_leave(domain);
    return count;
}
