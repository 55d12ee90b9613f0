/* SPDX-License-Identifier: Apache-2.0 */
/* The user's endpoint is gone when ep_close or ep_abort returns. What is left of a closed one sends what it holds, says goodbye, and
 * stays until the peer hangs up: UCX ends a connection over another path than that of its data, which the peer would lose.
 *
 * Over tcp every connection that UCX has not given up goes that way, also one that was aborted or never came about. UCX 1.13 ends the
 * process when one is closed while it connects, or while it has something to send and the peer closes too; and it takes what is left of
 * one that only one end had for a part of the next between the two. So both ends connect, say goodbye, and close when each
 * knows that the other has heard it. Owner: the domain's thread. Always: nothing that lingers refers to memory of a user. */
#include "config.h"

#include "transports/ucx/linger.h"

#include <errno.h>
#include <poll.h>

#include "transports/ucx/message.h"
#include "transports/ucx/oob.h"
#include "transports/ucx/receive.h"

#define LINGER_NS 5000000000ull
/* Nobody counts on it any more; only a peer that is stopped takes so long to answer. */
#define LEFT_NS 60000000000ull
/* How long domain_close() waits for those. */
#define SETTLE_NS 1000000000ull
/* A peer that never hangs up cannot make us keep more connections than these. */
#define LINGER_MAX 256u

void ucx_linger_end(struct ros2_ep *ep)
{
    if (!ucx_ep_may_close(ep))
        return;
    ep->domain->linger_count -= !ep->left;
    ucx_ep_unlink(ep, -ECANCELED);
    ucx_ep_bury(ep);
}

static void leave(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    domain->linger_count -= ep->state == UCX_EP_LINGERING && !ep->left;
    ep->left = true;
    ep->until_ns = domain->host->now_ns() + LEFT_NS;
    ucx_domain_wake_at(domain, ep->until_ns);
}

void ucx_linger_expired(struct ros2_ep *ep)
{
    if (ep->left)
        ep->failed = true;
    if (ucx_ep_may_close(ep) || ep->domain->variant->rdma)
        ucx_linger_end(ep);
    else
        leave(ep);
}

void ucx_linger_stay(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    ucx_ep_unlink(ep, -ECANCELED);
    leave(ep);
    ep->state = UCX_EP_LINGERING;
    ep->down = false; /* until UCX knows, or the peer */
    ep->bye = domain->variant->rdma;
    TAILQ_INSERT_TAIL(&domain->lingering, ep, link);
    if (ep->settled)
        ucx_linger_part(ep);
}

void ucx_linger_part(struct ros2_ep *ep)
{
    ucx_oob_end(ep); /* which tells the peer at once */
    ucx_message_pump(ep);
}

static bool any_unsettled(const struct ros2_domain *domain)
{
    const struct ucx_eps *list[] = {&domain->eps, &domain->dead, &domain->lingering};
    const struct ros2_ep *ep;

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        TAILQ_FOREACH(ep, list[i], link)
    if (!ep->settled && !ep->failed && (ep->ucp || ucx_oob_committed(ep)))
        return true;
    return false;
}

void ucx_linger_settle_all(struct ros2_domain *domain)
{
    const uint64_t end_ns = domain->host->now_ns() + SETTLE_NS;

    /* A child's calls would be on its parent's sockets. */
    if (domain->variant->rdma || ucx_domain_forked(domain))
        return;
    while (any_unsettled(domain) && domain->host->now_ns() < end_ns) {
        struct pollfd fd = {.fd = domain->epoll_fd, .events = POLLIN};
        (void)poll(&fd, 1, 1);
        ucx_domain_turn(domain);
        domain->oob_skips = 0;
        (void)ucx_oob_progress(domain);
    }
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
        if (ep->left)
            continue;
        ucx_linger_expired(ep);
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
    if (told && domain->variant->rdma)
        ucx_ep_down(ep, -EPIPE); /* nobody is there to hear us */
    while (ep->done_first)
        ucx_op_run_done(ep);
    if (domain->linger_count > LINGER_MAX)
        end_oldest(domain);
    ucx_domain_leave(domain);
}
