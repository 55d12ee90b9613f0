/* SPDX-License-Identifier: Apache-2.0 */
/* A reliable connection of a device says nothing while it is idle, so the peer's power can be gone for hours. A write of no
 * bytes asks: the peer's device answers it, whether its process runs or not, without a key (InfiniBand Architecture
 * Specification, volume 1, C9-88) and without one of the receives that messages need. tcp has its keepalive instead.
 * Owner: the domain's thread. */
#include "config.h"

#include "transports/ofi/heartbeat.h"

#include <errno.h>
#include <rdma/fi_rma.h>

#include "transports/ofi/endpoint.h"

#define INTERVAL_NS 2000000000ull
#define MISSES      3u
/* How long a connection may take to come about. */
#define CONNECT_BEATS 5u

static void ask(struct ros2_ep *ep)
{
    struct ofi_work *work = ofi_ep_take_work(ep, OFI_WORK_HEARTBEAT, NULL);
    /* One piece: of none libfabric 1.17 writes a first one behind its array. */
    const struct iovec none = {ep->memory, 0};
    const struct fi_rma_iov nothing = {0};
    const struct fi_msg_rma msg = {
        .msg_iov = &none, .iov_count = 1, .rma_iov = &nothing, .rma_iov_count = 1, .context = work};
    ssize_t rc = fi_writemsg(ep->fi, &msg, FI_COMPLETION);

    if (rc < 0) {
        ofi_ep_give_work(ep, work);
        ofi_ep_down(ep, rc == -EAGAIN ? -ENOBUFS : (int)rc);
        return;
    }
    ep->queue->posted++;
}

static void beat(struct ros2_ep *ep)
{
    if (ep->down)
        return;
    if (ep->state != OFI_EP_OPEN) {
        if (++ep->misses >= CONNECT_BEATS)
            ofi_ep_down(ep, -ETIMEDOUT);
    } else if (ep->answers != ep->answers_seen) {
        ep->answers_seen = ep->answers;
        ep->misses = 0;
    } else if (ep->free_count == OFI_WORKS) {
        ask(ep);
    } else if (++ep->misses >= MISSES) {
        ofi_ep_down(ep, -ETIMEDOUT);
    }
}

void ofi_heartbeat_start(struct ros2_domain *domain)
{
    if (!domain->provider->rdma || domain->beat_ns != 0)
        return;
    domain->beat_ns = domain->host->now_ns() + INTERVAL_NS;
    ofi_domain_wake_at(domain, domain->beat_ns);
}

void ofi_heartbeat(struct ros2_domain *domain, uint64_t now_ns)
{
    struct ros2_ep *ep;

    if (domain->beat_ns == 0)
        return;
    if (now_ns >= domain->beat_ns) {
        TAILQ_FOREACH(ep, &domain->eps, link)
        beat(ep);
        domain->beat_ns = TAILQ_EMPTY(&domain->eps) ? 0 : now_ns + INTERVAL_NS;
    }
    if (domain->beat_ns != 0)
        ofi_domain_wake_at(domain, domain->beat_ns);
}
