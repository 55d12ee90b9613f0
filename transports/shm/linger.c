/* SPDX-License-Identifier: Apache-2.0 */
/* An endpoint's last messages. What is in the ring reaches the peer even when this side is gone, as the memory stays as long
 * as the peer has it; so only what found no room there has to be waited for. Owner: the domain's thread. Always: nothing
 * that lingers refers to memory of an op, and the peer reaches no region of this side. */
#include "config.h"

#include "transports/shm/linger.h"

#include <errno.h>

#include "transports/shm/endpoint.h"
#include "transports/shm/rma.h"

#define LINGER_NS 5000000000ull
/* A peer that takes nothing cannot make us keep more connections than these. */
#define LINGER_MAX 256u
/* Of puts and gets under way, so much is still done. */
#define CLOSE_BYTES (4u << 20)

void shm_linger_end(struct ros2_ep *ep)
{
    ep->domain->linger_count--;
    if (!shm_domain_forked(ep->domain))
        atomic_store(&ep->ring->mine->gate, (uint32_t)SHM_GATE_CLOSED);
    shm_ep_unlink(ep);
    shm_ep_bury(ep);
}

void shm_linger_go_on(struct ros2_ep *ep)
{
    shm_rma_pump(ep, SIZE_MAX);
    shm_list_remove(&ep->ready_link);
    if (!shm_queue_head(&ep->queue) || ep->hup || ep->error)
        shm_linger_end(ep);
}

void shm_linger_expire(struct ros2_domain *domain, uint64_t now_ns)
{
    while (!shm_list_empty(&domain->lingering)) {
        struct ros2_ep *ep = SHM_CONTAINER(domain->lingering.next, struct ros2_ep, link);
        if (ep->linger_until_ns > now_ns) {
            shm_domain_wake_at(domain, ep->linger_until_ns);
            return;
        }
        shm_linger_end(ep);
    }
}

/* The first item that cannot outlive the user's endpoint, because bytes of it lie elsewhere. */
static struct shm_item *first_borrowed(struct ros2_ep *ep)
{
    struct shm_item *item = shm_queue_head(&ep->queue);

    while (item && item->kind == SHM_ITEM_MESSAGE && !item->op)
        item = shm_queue_next(&ep->queue, item);
    return item;
}

/* A borrowed message that is half out cannot be taken back: the peer would wait for its rest. */
static bool half_out(const struct shm_item *item)
{
    return item && item->message_sent > 0;
}

static void say_bye(struct ros2_ep *ep)
{
    struct shm_item *item;

    if (shm_queue_append(&ep->queue, SHM_ITEM_BYE, 0, 0, 0, &item) == 0 &&
        shm_list_empty(&ep->output_link))
        shm_list_append(&ep->domain->output, &ep->output_link);
}

void shm_ep_close(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    shm_domain_own(domain);
    if (ep->state != SHM_EP_OPEN || !ep->usable || ep->error || shm_domain_forked(domain)) {
        shm_ep_abort(ep);
        return;
    }
    shm_domain_enter(domain);
    shm_rma_pump(ep, CLOSE_BYTES);
    shm_ep_shut(ep, SHM_GATE_CLOSING);
    struct shm_item *borrowed = first_borrowed(ep);
    bool broken = half_out(borrowed);
    shm_ep_cancel(ep, borrowed, -ECANCELED);
    if (!broken)
        say_bye(ep);
    if (ep->sleeping) /* from now on for room only, see shm_domain_arm */
        shm_ep_heat(ep);
    shm_list_remove(&ep->link);
    domain->hot_count--;
    ep->state = SHM_EP_LINGERING;
    if (domain->linger_count >= LINGER_MAX)
        shm_linger_end(SHM_CONTAINER(domain->lingering.next, struct ros2_ep, link));
    ep->linger_until_ns = domain->host->now_ns() + LINGER_NS;
    shm_list_append(&domain->lingering, &ep->link);
    domain->linger_count++;
    shm_domain_wake_at(domain, ep->linger_until_ns);
    shm_linger_go_on(ep);
    while (ep->done_first)
        shm_ep_run_done(ep);
    shm_domain_leave(domain);
}
