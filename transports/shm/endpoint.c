/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: its life from connect or accept to the end. Owner: the domain's thread. Always: an endpoint is in one of
 * the domain's lists hot, sleeping, opening, dead, lingering, graveyard; its ops complete before its user hears of its end;
 * its memory stays until the outermost call that may run callbacks has returned. */
#include "config.h"

#include "transports/shm/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "transports/shm/rma.h"
#include "transports/shm/socket.h"

/* -- making -- */

int shm_ep_create(struct ros2_domain *domain, int fd, enum shm_ep_state state,
                  struct ros2_ep **ep_p)
{
    struct ros2_ep *ep = calloc(1, sizeof *ep);

    if (!ep) {
        close(fd);
        return domain->host->fail(ENOMEM, "shm: out of memory for a connection");
    }
    ep->source = SHM_SOURCE_EP;
    ep->state = state;
    ep->domain = domain;
    ep->fd = fd;
    ep->ring_fd = ep->doorbell = ep->peer_doorbell = -1;
    ep->usable = ep->accepted = state == SHM_EP_AWAIT_HELLO;
    shm_list_init(&ep->ready_link);
    shm_list_init(&ep->output_link);
    shm_list_init(&ep->sharing_link);
    shm_list_append(&domain->opening, &ep->link);
    domain->connecting += state == SHM_EP_CONNECTING;
    *ep_p = ep;
    return 0;
}

void shm_ep_free(struct ros2_ep *ep)
{
    shm_queue_fini(&ep->queue);
    shm_peer_fini(&ep->shared);
    shm_ring_unref(ep->ring);
    free(ep->message);
    free(ep);
}

int shm_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p)
{
    struct sockaddr_un peer;
    struct ros2_ep *ep;
    const char *why;

    shm_domain_own(domain);
    if (shm_address_parse(address, &peer, &why) < 0)
        return domain->host->fail(EINVAL, "shm: connect %s: %s", address, why);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return domain->host->fail(errno, "shm: connect %s: socket: %s", address,
                                  strerrordesc_np(errno));
    int rc = shm_ep_create(domain, fd, SHM_EP_CONNECTING, &ep);
    if (rc < 0)
        return rc;
    ep->address = peer;
    memcpy(ep->peer, peer.sun_path, sizeof ep->peer);
    shm_ep_set_handler(ep, handler, arg);
    /* A failure at once is told like a later one, by closed(). */
    shm_socket_advance(ep);
    *ep_p = ep;
    return 0;
}

void shm_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg)
{
    shm_domain_own(ep->domain);
    ep->handler = *handler;
    ep->arg = arg;
    ep->handled = true;
}

int shm_ep_peer(struct ros2_ep *ep, char *buf, size_t len)
{
    shm_domain_own(ep->domain);
    return shm_address_copy(ep->peer, buf, len);
}

void shm_ep_opened(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    ep->state = SHM_EP_OPEN;
    shm_list_remove(&ep->link);
    shm_list_append(&domain->hot, &ep->link);
    domain->hot_count++;
    if (ep->usable)
        return;
    domain->connecting--;
    ep->usable = true;
    if (ep->handler.connected)
        ep->handler.connected(ep->arg, ep);
}

/* -- being polled, sleeping -- */

void shm_ep_ready(struct ros2_ep *ep)
{
    if (shm_list_empty(&ep->ready_link))
        shm_list_append(&ep->domain->ready, &ep->ready_link);
}

void shm_ep_heat(struct ros2_ep *ep)
{
    ep->idle = 0;
    if (!ep->sleeping)
        return;
    ep->sleeping = false;
    ep->owed |= shm_ring_awake(ep->ring);
    if (ep->state != SHM_EP_OPEN)
        return;
    shm_list_remove(&ep->link);
    shm_list_append(&ep->domain->hot, &ep->link);
    ep->domain->hot_count++;
}

bool shm_ep_sleep(struct ros2_ep *ep)
{
    if (ep->owed) {
        /* Else the old one would end this sleep: epoll is asked first. */
        ep->owed = false;
        ep->domain->armed = true;
        return false;
    }
    if (ep->hup || ep->error)
        return false;
    if (ep->sleeping) {
        /* It was not waiting for room then, perhaps. */
        if (!ep->blocked)
            return true;
        shm_ep_heat(ep);
    }
    ep->sleeping = true;
    if (ep->state == SHM_EP_OPEN) {
        shm_list_remove(&ep->link);
        shm_list_append(&ep->domain->sleeping, &ep->link);
        ep->domain->hot_count--;
    }
    /* One that lingers listens no more. */
    unsigned what =
        (ep->state == SHM_EP_OPEN ? SHM_WAKE_ON_DATA : 0u) | (ep->blocked ? SHM_WAKE_ON_SPACE : 0u);
    if (shm_ring_sleep(ep->ring, what))
        return true;
    shm_ep_heat(ep);
    return false;
}

void shm_ep_wake(struct ros2_ep *ep)
{
    const uint8_t byte = SHM_WAKE;

    /* A full socket is fine: there is something to wake up for in it. A broken one is told by epoll. */
    if (!shm_doorbell_ring(ep))
        (void)send(ep->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* After it: a polling peer that sees the bell finds an event. */
    atomic_store_explicit(&ep->shared.table->head.bell, 1, memory_order_release);
}

/* -- completing -- */

void shm_ep_done(struct ros2_ep *ep, struct ros2_op *op, int status)
{
    op->plugin[0] = 0;
    op->plugin[1] = (uint64_t)(int64_t)status;
    if (ep->done_last)
        ep->done_last->plugin[0] = (uint64_t)(uintptr_t)op;
    else
        ep->done_first = op;
    ep->done_last = op;
    shm_ep_ready(ep);
}

int shm_ep_run_done(struct ros2_ep *ep)
{
    struct ros2_op *last = ep->done_last;
    struct ros2_op *op;
    int count = 0;

    /* Up to the last one of now: a callback may complete more. When one of them ends ep, that runs the rest. */
    while ((op = ep->done_first) != NULL) {
        ep->done_first = (struct ros2_op *)(uintptr_t)op->plugin[0];
        if (!ep->done_first)
            ep->done_last = NULL;
        bool stop = op == last;
        count++;
        op->done(op, (int)(int64_t)op->plugin[1]);
        if (stop)
            break;
    }
    return count;
}

void shm_ep_cancel(struct ros2_ep *ep, struct shm_item *from, int status)
{
    if (from) {
        for (struct shm_item *i = from; i; i = shm_queue_next(&ep->queue, i)) {
            shm_rma_release(ep, i);
            if (i->op)
                shm_ep_done(ep, i->op, status);
        }
        shm_queue_cut(&ep->queue, from);
    }
    /* An endpoint that is no longer served has its completions run by whoever ended it. */
    shm_list_remove(&ep->ready_link);
}

/* -- ending -- */

int shm_ep_fail(struct ros2_ep *ep, int err, const char *why)
{
    return ep->domain->host->fail(err, "shm: connection with %s: %s", ep->peer,
                                  why ? why : "unknown error");
}

void shm_ep_doom(struct ros2_ep *ep, int err)
{
    if (!ep->error)
        ep->error = err;
    shm_ep_ready(ep);
}

void shm_ep_shut(struct ros2_ep *ep, enum shm_gate gate)
{
    bool shared = !shm_list_empty(&ep->sharing_link);

    shm_list_remove(&ep->sharing_link);
    if (!ep->ring || shm_domain_forked(ep->domain))
        return;
    atomic_store(&ep->ring->mine->gate, (uint32_t)gate);
    if (shared)
        shm_regions_revoke(ep->domain, ep);
}

void shm_ep_unlink(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    shm_list_remove(&ep->link);
    shm_list_remove(&ep->ready_link);
    shm_list_remove(&ep->output_link);
    domain->connecting -= ep->state <= SHM_EP_AWAIT_WELCOME;
    domain->hot_count -= ep->state == SHM_EP_OPEN && !ep->sleeping;
    shm_socket_drop_fds(ep);
    if (ep->ring_fd >= 0)
        close(ep->ring_fd);
    ep->ring_fd = -1;
    shm_doorbell_close(ep);
    if (ep->fd >= 0) {
        if (ep->accepted)
            shm_socket_drain(ep);
        if (ep->watched)
            shm_domain_close_fd(domain, ep->fd);
        else
            close(ep->fd);
        ep->fd = -1;
    }
}

void shm_ep_bury(struct ros2_ep *ep)
{
    ep->state = SHM_EP_FREED;
    shm_list_append(&ep->domain->graveyard, &ep->link);
}

/* What an op may be told. */
static int op_status(int err)
{
    return err == -EPIPE || err == -EPROTO ? err : -ECONNRESET;
}

void shm_ep_die(struct ros2_ep *ep, int err)
{
    if (ep->state < SHM_EP_OPEN && err != -EPROTO)
        shm_ep_fail(ep, -err, strerrordesc_np(-err));
    /* Regions stay open to the pins that are up until the user ends it: that is when it may deregister and be sure. */
    if (ep->ring)
        atomic_store(&ep->ring->mine->gate, (uint32_t)SHM_GATE_CLOSED);
    shm_ep_unlink(ep);
    ep->state = SHM_EP_DEAD;
    shm_list_append(&ep->domain->dead, &ep->link);
    shm_ep_cancel(ep, shm_queue_head(&ep->queue), op_status(err));
    while (ep->done_first)
        shm_ep_run_done(ep);
    if (ep->state == SHM_EP_DEAD && ep->handled && ep->handler.closed)
        ep->handler.closed(ep->arg, ep, err);
}

void shm_ep_abort(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    shm_domain_own(domain);
    if (ep->state == SHM_EP_FREED || ep->state == SHM_EP_LINGERING)
        return;
    shm_domain_enter(domain);
    shm_ep_shut(ep, SHM_GATE_CLOSED);
    shm_ep_unlink(ep);
    shm_ep_bury(ep);
    shm_ep_cancel(ep, shm_queue_head(&ep->queue), -ECANCELED);
    while (ep->done_first)
        shm_ep_run_done(ep);
    shm_domain_leave(domain);
}
