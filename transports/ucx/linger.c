/* SPDX-License-Identifier: Apache-2.0 */
/* The user's endpoint is gone when ep_close returns. What is left of it sends what it holds, says goodbye, and stays until the
 * peer hangs up: UCX ends a connection over another path than that of its data, which the peer would lose. Owner: the
 * domain's thread. Always: nothing that lingers refers to memory of an op. */
#include "config.h"

#include "transports/ucx/linger.h"

#include <errno.h>

#include "transports/ucx/message.h"
#include "transports/ucx/receive.h"

#define LINGER_NS 5000000000ull
/* A peer that never hangs up cannot make us keep more connections than these. */
#define LINGER_MAX 256u

void ucx_linger_end(struct ros2_ep *ep)
{
    ep->domain->linger_count -= !ep->unborn;
    ucx_ep_unlink(ep, -ECANCELED);
    ucx_ep_bury(ep);
}

/* UCX 1.13 takes an event of a socket that is closed while it connects for one of the next socket with that number, and may
 * then end the process. So who is given up while he connects, by his user or his deadline, is closed when he is connected, or has
 * failed: the kernel gives up some time. */
void ucx_linger_unborn(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    ucx_ep_unlink(ep, -ECANCELED);
    ep->state = UCX_EP_LINGERING;
    ep->down = false; /* until UCX knows */
    ep->unborn = ep->bye = true;
    TAILQ_INSERT_TAIL(&domain->lingering, ep, link);
}

/* A put or a get in flight cannot be called back but by ending the connection. */
static bool has_transfers(const struct ros2_ep *ep)
{
    const struct ucx_item *item;
    const struct ucx_work *work;

    TAILQ_FOREACH(item, &ep->outbox, link)
    if (item->waits > 0)
        return true;
    LIST_FOREACH(work, &ep->works, link)
    if (work->kind != UCX_WORK_MESSAGE && work->kind != UCX_WORK_BEAT)
        return true;
    return false;
}

static void end_oldest(struct ros2_domain *domain)
{
    struct ros2_ep *ep;

    TAILQ_FOREACH(ep, &domain->lingering, link)
    {
        if (ep->unborn)
            continue;
        ucx_linger_end(ep);
        return;
    }
}

void ucx_ep_close(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    ucx_domain_own(domain);
    if (ep->state == UCX_EP_FREED || ep->state == UCX_EP_LINGERING)
        return;
    if (ep->state != UCX_EP_OPEN || ep->down || ucx_domain_forked(domain) || has_transfers(ep)) {
        ucx_ep_abort(ep);
        return;
    }
    ucx_domain_enter(domain);
    ucx_message_release_ops(ep);
    const bool told = ucx_receive_drop(ep);
    TAILQ_REMOVE(&domain->eps, ep, link);
    ep->state = UCX_EP_LINGERING;
    TAILQ_INSERT_TAIL(&domain->lingering, ep, link);
    domain->linger_count++;
    ep->until_ns = domain->host->now_ns() + LINGER_NS;
    ucx_domain_wake_at(domain, ep->until_ns);
    ucx_message_pump(ep);
    if (told)
        ucx_ep_down(ep, -EPIPE); /* nobody is there to hear us */
    while (ep->done_first)
        ucx_op_run_done(ep);
    if (domain->linger_count > LINGER_MAX)
        end_oldest(domain);
    ucx_domain_leave(domain);
}
