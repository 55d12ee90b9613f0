/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection. Closing libfabric's endpoint ends all access to memory of its operations at once: it is
 * the socket, or the queue pair, that goes. Completions of it may still lie in the domain's queue: its memory stays until
 * that was seen empty. Owner: the domain's thread. */
#include "config.h"

#include "transports/ofi/endpoint.h"

#include <errno.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ofi/descriptors.h"
#include "transports/ofi/heartbeat.h"
#include "transports/ofi/linger.h"
#include "transports/ofi/listener.h"
#include "transports/ofi/message.h"

#define OFI_MEMORY ((size_t)(OFI_WINDOW + OFI_OUT_MAX) * OFI_FRAGMENT)

/* -- making one -- */

static int make_memory(struct ros2_ep *ep)
{
    ep->memory = malloc(OFI_MEMORY);
    if (!ep->memory)
        return -FI_ENOMEM;
    for (unsigned i = 0; i < OFI_WINDOW; i++) {
        ep->receive[i].kind = OFI_WORK_RECEIVE;
        ep->receive[i].ep = ep;
        ep->receive[i].buffer = ep->memory + (size_t)i * OFI_FRAGMENT;
    }
    for (unsigned i = 0; i < OFI_OUT_MAX; i++)
        ep->out[i] = ep->memory + (size_t)(OFI_WINDOW + i) * OFI_FRAGMENT;
    if (ep->domain->local_keys) {
        int rc = fi_mr_reg(ep->domain->fi, ep->memory, OFI_MEMORY, FI_SEND | FI_RECV, 0, 0, 0,
                           &ep->own_mr, NULL);
        if (rc < 0)
            return rc;
    }
    ep->out_count = OFI_OUT_MAX;
    ep->granted = OFI_WINDOW;
    for (unsigned i = 0; i < OFI_WORKS; i++) {
        ep->work[i].ep = ep;
        ofi_ep_give_work(ep, &ep->work[i]);
    }
    return 0;
}

static int make_fi(struct ros2_ep *ep, struct fi_info *info)
{
    struct ros2_domain *domain = ep->domain;
    int rc = fi_endpoint(domain->fi, info, &ep->fi, ep);

    ep->took = rc == 0;
    if (rc == 0)
        rc = fi_ep_bind(ep->fi, &domain->eq->fid, 0);
    if (rc == 0)
        rc = fi_ep_bind(ep->fi, &ep->queue->cq->fid, FI_TRANSMIT | FI_RECV);
    if (rc == 0)
        rc = fi_enable(ep->fi);
    for (unsigned i = 0; rc == 0 && i < OFI_WINDOW; i++)
        rc = ofi_message_receive(ep, &ep->receive[i]);
    return rc;
}

int ofi_ep_create(struct ros2_domain *domain, struct fi_info *info, enum ofi_ep_state state,
                  struct ros2_ep **ep_p)
{
    struct ros2_ep *ep = *ep_p = calloc(1, sizeof *ep);

    if (!ep)
        return domain->host->fail(ENOMEM, "%s: connection: out of memory", domain->name);
    ep->domain = domain;
    ep->state = state;
    domain->accepting += state == OFI_EP_ACCEPTING;
    TAILQ_INSERT_TAIL(&domain->eps, ep, link);
    int rc = ofi_queue_take(domain, &ep->queue);
    if (rc == 0) {
        rc = make_memory(ep);
        if (rc == 0)
            rc = make_fi(ep, info);
        if (rc < 0)
            domain->host->fail(-rc, "%s: connection: %s%s", domain->name, fi_strerror(-rc),
                               rc == -FI_ENOMEM && domain->provider->rdma
                                   ? "; the device is out of queue pairs, or memory must not be "
                                     "locked (ulimit -l)"
                                   : "");
    }
    if (rc < 0) {
        ofi_ep_unlink(ep);
        ofi_ep_bury(ep);
        return rc;
    }
    ofi_heartbeat_start(domain);
    return 0;
}

void ofi_ep_free(struct ros2_ep *ep)
{
    ofi_backlog_fini(&ep->backlog);
    free(ep->parts);
    free(ep->memory);
    free(ep);
}

static int begin_connect(struct ros2_ep *ep)
{
    const struct ofi_greeting greeting = {.window = OFI_WINDOW, .fragment = OFI_FRAGMENT};
    uint8_t bytes[OFI_GREETING];

    ofi_greeting_encode(&greeting, bytes);
    return fi_connect(ep->fi, &ep->peer, bytes, sizeof bytes);
}

int ofi_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p)
{
    union ip_address peer;
    struct ros2_ep *ep = NULL;

    ofi_domain_own(domain);
    if (ip_address_parse(address, &peer) < 0)
        return domain->host->fail(
            EINVAL, "%s: connect to %s: not an address; write HOST:PORT or [V6]:PORT with numbers",
            domain->name, address);
    struct fi_info *info = ofi_info_with_address(domain, &peer, false);
    if (!info)
        return domain->host->fail(ENOMEM, "%s: connect to %s: out of memory", domain->name,
                                  address);
    ofi_domain_enter(domain);
    int rc = ofi_ep_create(domain, info, OFI_EP_CONNECTING, &ep);
    fi_freeinfo(info);
    if (rc == 0) {
        ep->peer = peer;
        ofi_ep_set_handler(ep, handler, arg);
        rc = begin_connect(ep);
        ofi_descriptors_set_up(&domain->eq->fid);
        if (rc < 0)
            ofi_ep_down(ep, rc); /* the user hears of it from progress, as of any other refusal */
        rc = 0;
        *ep_p = ep;
    }
    ofi_domain_leave(domain);
    return rc;
}

void ofi_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg)
{
    ofi_domain_own(ep->domain);
    ep->handler = *handler;
    ep->arg = arg;
    ep->handled = true;
}

int ofi_ep_peer(struct ros2_ep *ep, char *buf, size_t len)
{
    ofi_domain_own(ep->domain);
    return ip_address_format(&ep->peer, buf, len);
}

void ofi_ep_established(struct ros2_ep *ep, const void *greeting, size_t len)
{
    struct ofi_greeting peer;

    if (ep->state != OFI_EP_CONNECTING && ep->state != OFI_EP_ACCEPTING)
        return;
    ep->misses = 0;
    if (ep->state == OFI_EP_CONNECTING) {
        if (ofi_greeting_decode(greeting, len, &peer) < 0 || peer.window < 2 ||
            peer.fragment != OFI_FRAGMENT) {
            ofi_ep_fail(ep, EPROTO, "it does not greet as transport ofi of this version does");
            ofi_ep_die(ep, -EPROTO);
            return;
        }
        ep->window = ep->credits = peer.window;
        ep->state = OFI_EP_OPEN;
        ep->usable = true;
        if (ep->handler.connected)
            ep->handler.connected(ep->arg, ep);
    } else {
        ep->domain->accepting--;
        ep->state = OFI_EP_OPEN;
        ep->usable = true;
        ofi_listener_accepted(ep);
    }
}

/* -- operations in flight -- */

struct ofi_work *ofi_ep_take_work(struct ros2_ep *ep, enum ofi_work_kind kind, struct ros2_op *op)
{
    struct ofi_work *work = ep->free_works;

    ep->free_works = work->next;
    ep->free_count--;
    ep->rma_count += kind == OFI_WORK_RMA;
    work->kind = kind;
    work->op = op;
    return work;
}

void ofi_ep_give_work(struct ros2_ep *ep, struct ofi_work *work)
{
    if (work->mr)
        fi_close(&work->mr->fid);
    work->mr = NULL;
    if (work->buffer)
        ep->out[ep->out_count++] = work->buffer;
    work->buffer = NULL;
    work->op = NULL;
    work->next = ep->free_works;
    ep->free_works = work;
    ep->free_count++;
}

void ofi_ep_ready(struct ros2_ep *ep)
{
    if (!ep->in_ready)
        TAILQ_INSERT_TAIL(&ep->domain->ready, ep, ready_link);
    ep->in_ready = true;
}

void ofi_ep_part_done(struct ros2_ep *ep, struct ros2_op *op, int status)
{
    if (!op)
        return;
    if (status < 0 && op->plugin[OFI_OP_STATUS] == 0)
        op->plugin[OFI_OP_STATUS] = (uint64_t)(int64_t)status;
    if (--op->plugin[OFI_OP_PARTS] > 0)
        return;
    op->plugin[OFI_OP_NEXT] = 0;
    if (ep->done_last)
        ep->done_last->plugin[OFI_OP_NEXT] = (uint64_t)(uintptr_t)op;
    else
        ep->done_first = op;
    ep->done_last = op;
    ofi_ep_ready(ep);
}

int ofi_ep_run_done(struct ros2_ep *ep)
{
    struct ros2_op *last = ep->done_last;
    struct ros2_op *op;
    int count = 0;

    /* Up to the last one of now: a callback may complete more. When one of them ends ep, that runs the rest. */
    while ((op = ep->done_first) != NULL) {
        ep->done_first = (struct ros2_op *)(uintptr_t)op->plugin[OFI_OP_NEXT];
        if (!ep->done_first)
            ep->done_last = NULL;
        bool stop = op == last;
        count++;
        op->done(op, (int)(int64_t)op->plugin[OFI_OP_STATUS]);
        if (stop)
            break;
    }
    return count;
}

void ofi_ep_cancel(struct ros2_ep *ep, int status)
{
    for (unsigned i = 0; i < OFI_WORKS; i++) {
        struct ros2_op *op = ep->work[i].op;
        ep->work[i].op = NULL;
        ofi_ep_part_done(ep, op, status);
    }
    while (!ofi_backlog_empty(&ep->backlog)) {
        ofi_ep_part_done(ep, ofi_backlog_first(&ep->backlog).op, status);
        ofi_backlog_sent(&ep->backlog, 0, true);
    }
}

/* -- ending -- */

int ofi_ep_fail(struct ros2_ep *ep, int err, const char *why)
{
    char peer[IP_ADDRESS_TEXT];

    if (ip_address_format(&ep->peer, peer, sizeof peer) < 0)
        peer[0] = 0;
    return ep->domain->host->fail(err, "%s: connection with %s: %s", ep->domain->name, peer,
                                  why ? why : "unknown error");
}

void ofi_ep_down(struct ros2_ep *ep, int err)
{
    if (!ep->down) {
        ep->error = err;
        ep->ended = ofi_mark_now(ep->queue);
    }
    ep->down = true;
    ofi_ep_ready(ep);
}

/* Once the connection is gone no device reads or writes it. */
static void close_memory(struct ros2_ep *ep)
{
    if (!ofi_domain_forked(ep->domain)) {
        for (unsigned i = 0; i < OFI_WORKS; i++)
            if (ep->work[i].mr)
                fi_close(&ep->work[i].mr->fid);
        if (ep->own_mr)
            fi_close(&ep->own_mr->fid);
    }
    for (unsigned i = 0; i < OFI_WORKS; i++)
        ep->work[i].mr = NULL;
    ep->own_mr = NULL;
}

void ofi_ep_unlink(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;
    struct ofi_eps *list = ep->state == OFI_EP_DEAD        ? &domain->dead
                           : ep->state == OFI_EP_LINGERING ? &domain->lingering
                                                           : &domain->eps;

    TAILQ_REMOVE(list, ep, link);
    domain->accepting -= ep->state == OFI_EP_ACCEPTING;
    if (ep->in_ready)
        TAILQ_REMOVE(&domain->ready, ep, ready_link);
    ep->in_ready = false;
    if (ep->fi && !ofi_domain_forked(domain)) {
        fi_close(&ep->fi->fid);
        ep->ended = ofi_mark_now(ep->queue);
    }
    ep->fi = NULL;
    close_memory(ep);
    if (ep->queue && !ep->left)
        ofi_queue_give(ep->queue);
    ep->left = true;
}

void ofi_ep_bury(struct ros2_ep *ep)
{
    ep->state = OFI_EP_FREED;
    TAILQ_INSERT_TAIL(&ep->domain->graveyard, ep, link);
}

/* Tells the users of all ops. ep is served by nobody else any more. */
static void finish(struct ros2_ep *ep, int status)
{
    ofi_ep_cancel(ep, status);
    while (ep->done_first)
        ofi_ep_run_done(ep);
    if (ep->in_ready)
        TAILQ_REMOVE(&ep->domain->ready, ep, ready_link);
    ep->in_ready = false;
}

/* What an op may be told. */
static int op_status(int err)
{
    return err == -EPIPE || err == -EPROTO ? err : -ECONNRESET;
}

void ofi_ep_die(struct ros2_ep *ep, int err)
{
    if (ep->state == OFI_EP_CONNECTING && err != -EPROTO)
        ofi_ep_fail(ep, -err, strerrordesc_np(-err));
    ofi_ep_unlink(ep);
    ep->state = OFI_EP_DEAD;
    TAILQ_INSERT_TAIL(&ep->domain->dead, ep, link);
    finish(ep, op_status(err));
    if (ep->state != OFI_EP_DEAD)
        return;
    if (!ep->handled)
        ofi_ep_abort(ep); /* nobody has heard of it */
    else if (ep->handler.closed)
        ep->handler.closed(ep->arg, ep, err);
}

void ofi_ep_abort(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    ofi_domain_own(domain);
    if (ep->state == OFI_EP_FREED || ep->state == OFI_EP_LINGERING)
        return;
    ofi_domain_enter(domain);
    ofi_ep_unlink(ep);
    ofi_ep_bury(ep);
    finish(ep, -ECANCELED);
    ofi_domain_leave(domain);
}
