/* SPDX-License-Identifier: Apache-2.0 */
/* A reliable connection of a device says nothing while it is idle, and UCX 1.13's own keepalive leaves a link that was cut
 * unnoticed on rc_verbs. So an idle endpoint sends a message that the peer ignores, and a flush, which is over when the peer's device
 * has answered, whether its process runs or not; a device that does not answer ends the connection. A process that makes no
 * progress keeps the beats in its receive queue: when that is full after hours, it ends too. tcp has its keepalive instead.
 * Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/heartbeat.h"

#include <errno.h>

#include "transports/ucx/work.h"

#define INTERVAL_NS 2000000000ull
/* Something is under way, and nothing came to its end: soft-RoCE goes on trying for ever. As long as tcp waits for a peer. */
#define SILENCE_NS 15000000000ull

static bool is_silent(struct ros2_ep *ep, uint64_t now_ns)
{
    if (ep->work_count == 0)
        return false;
    if (ep->waits_ns == 0)
        ep->waits_ns = now_ns;
    return now_ns - ep->waits_ns >= SILENCE_NS;
}

static void beat(struct ros2_ep *ep, uint64_t now_ns)
{
    const struct ucx_header header = {.type = UCX_BEAT, .to = ep->peer_number};

    if (ep->state != UCX_EP_OPEN || ep->down || !ep->ucp)
        return;
    if (is_silent(ep, now_ns))
        ucx_ep_down(ep, -ETIMEDOUT);
    if (ep->work_count > 0)
        return; /* what is under way asks the device already */
    struct ucx_work *work = ucx_work_take(ep, UCX_WORK_BEAT);
    if (!work)
        return; /* another time */
    ucx_work_send(work, &header, NULL, 0, UCP_AM_SEND_FLAG_EAGER);
    if (ep->down)
        return;
    work = ucx_work_take(ep, UCX_WORK_BEAT);
    if (!work)
        return;
    const ucp_request_param_t param = ucx_work_param(work, NULL);
    ucx_work_started(work, ucp_ep_flush_nbx(ep->ucp, &param));
}

void ucx_heartbeat_start(struct ros2_domain *domain)
{
    if (!domain->variant->rdma || domain->beat_ns != 0)
        return;
    domain->beat_ns = domain->host->now_ns() + INTERVAL_NS;
    ucx_domain_wake_at(domain, domain->beat_ns);
}

void ucx_heartbeat(struct ros2_domain *domain, uint64_t now_ns)
{
    struct ros2_ep *ep;

    if (domain->beat_ns == 0)
        return;
    if (now_ns >= domain->beat_ns) {
        TAILQ_FOREACH(ep, &domain->eps, link)
        beat(ep, now_ns);
        domain->beat_ns = TAILQ_EMPTY(&domain->eps) ? 0 : now_ns + INTERVAL_NS;
    }
    if (domain->beat_ns != 0)
        ucx_domain_wake_at(domain, domain->beat_ns);
}
