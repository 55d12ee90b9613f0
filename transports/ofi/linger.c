/* SPDX-License-Identifier: Apache-2.0 */
/* The user's endpoint is gone when ep_close returns. What is left of it sends the messages that wait for credits, says
 * goodbye, and stays until the peer hangs up: a connection closed with data unread would be reset, and the peer might lose
 * what it was sent last. Owner: the domain's thread. Always: nothing that lingers refers to memory of an op. */
#include "config.h"

#include "transports/ofi/linger.h"

#include "transports/ofi/endpoint.h"
#include "transports/ofi/message.h"

#include <errno.h>

#define LINGER_NS 5000000000ull
/* A peer that never hangs up cannot make us keep more connections than these. */
#define LINGER_MAX 256u

void ofi_linger_end(struct ros2_ep *ep)
{
    ep->domain->linger_count--;
    ofi_ep_unlink(ep);
    ofi_ep_cancel(ep, -ECANCELED); /* no op is left: what waits is forgotten */
    ofi_ep_bury(ep);
}

void ofi_linger_expire(struct ros2_domain *domain, uint64_t now_ns)
{
    struct ros2_ep *ep;

    while ((ep = TAILQ_FIRST(&domain->lingering)) != NULL) {
        if (ep->linger_until_ns > now_ns) {
            ofi_domain_wake_at(domain, ep->linger_until_ns);
            return;
        }
        ofi_linger_end(ep);
    }
}

void ofi_ep_close(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    ofi_domain_own(domain);
    if (ep->state == OFI_EP_FREED || ep->state == OFI_EP_LINGERING)
        return;
    /* A put or a get in flight cannot be called back but by ending the connection. */
    if (ep->state != OFI_EP_OPEN || ep->down || ep->rma_count > 0 || ofi_domain_forked(domain)) {
        ofi_ep_abort(ep);
        return;
    }
    ofi_domain_enter(domain);
    ofi_message_release_ops(ep);
    TAILQ_REMOVE(&domain->eps, ep, link);
    ep->state = OFI_EP_LINGERING;
    TAILQ_INSERT_TAIL(&domain->lingering, ep, link);
    domain->linger_count++;
    ep->linger_until_ns = domain->host->now_ns() + LINGER_NS;
    ofi_domain_wake_at(domain, ep->linger_until_ns);
    ofi_message_pump(ep);
    while (ep->done_first)
        ofi_ep_run_done(ep);
    if (domain->linger_count > LINGER_MAX)
        ofi_linger_end(TAILQ_FIRST(&domain->lingering));
    ofi_domain_leave(domain);
}
