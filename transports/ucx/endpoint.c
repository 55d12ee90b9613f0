/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection. UCX connects lazily and tells nobody when it has, so the ends greet: the one that asked is
 * connected when the answer is there. Closing by force ends all access to memory of its operations, but not at once: the worker
 * has to turn until UCX has given everything back. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ucx/cm.h"
#include "transports/ucx/heartbeat.h"
#include "transports/ucx/linger.h"
#include "transports/ucx/message.h"
#include "transports/ucx/oob.h"
#include "transports/ucx/receive.h"
#include "transports/ucx/work.h"

/* How long a connection may take to come about. */
#define GREET_NS 10000000000ull
/* What UCX needs to give back the requests of a connection is its own progress, or a device's: microseconds. A device whose send
 * queue is full of what nobody acknowledges takes until it gives that up: UCX_RC_TIMEOUT times UCX_RC_RETRY_COUNT, 7 s. */
#define GIVE_BACK_NS 15000000000ull
/* Turns in which UCX takes down the connections of an endpoint that has no request. */
#define TURNS 3

/* -- making one -- */

static void failed(void *arg, ucp_ep_h ucp, ucs_status_t status)
{
    struct ros2_ep *ep = arg;

    (void)ucp;
    ep->failed = true;
    ucx_ep_failed(ep, status);
}

int ucx_ep_begin(struct ros2_ep *ep, ucp_ep_params_t *params)
{
    params->field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
    params->err_mode = UCP_ERR_HANDLING_MODE_PEER;
    params->err_handler = (ucp_err_handler_t){.cb = failed, .arg = ep};
    ucs_status_t status = ucp_ep_create(ep->domain->worker, params, &ep->ucp);
    if (status == UCS_OK)
        return 0;
    ep->ucp = NULL;
    return ucx_domain_complain(ep->domain, "connection", status);
}

int ucx_ep_new(struct ros2_domain *domain, const union ip_address *peer, enum ucx_ep_state state,
               struct ros2_ep **ep_p)
{
    struct ros2_ep *ep = calloc(1, sizeof *ep);

    if (!ep)
        return domain->host->fail(ENOMEM, "%s: connection: out of memory", domain->name);
    ep->domain = domain;
    ep->peer = *peer;
    ep->state = state;
    ep->asks = state == UCX_EP_CONNECTING;
    ep->oob.fd = -1;
    LIST_INIT(&ep->works);
    TAILQ_INIT(&ep->outbox);
    STAILQ_INIT(&ep->inbox);
    int rc = ucx_table_add(&domain->table, domain->host, UCX_ENDPOINT, ep, &ep->number);
    if (rc < 0) {
        free(ep);
        return rc;
    }
    domain->accepting += state == UCX_EP_ACCEPTING;
    TAILQ_INSERT_TAIL(&domain->eps, ep, link);
    ep->until_ns = domain->host->now_ns() + GREET_NS;
    ucx_domain_wake_at(domain, ep->until_ns);
    ucx_heartbeat_start(domain);
    *ep_p = ep;
    return 0;
}

int ucx_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p)
{
    union ip_address peer;
    struct ros2_ep *ep;

    ucx_domain_own(domain);
    int rc = ucx_domain_parse(domain, "connect to", address, &peer);
    if (rc < 0)
        return rc;
    ucx_domain_enter(domain);
    rc = ucx_ep_new(domain, &peer, UCX_EP_CONNECTING, &ep);
    if (rc == 0) {
        ucx_ep_set_handler(ep, handler, arg);
        if (domain->variant->rdma)
            rc = ucx_cm_connect(ep);
        else
            ucx_oob_connect(ep);
        if (rc < 0)
            ucx_ep_abort(ep);
        else
            *ep_p = ep;
    }
    ucx_domain_leave(domain);
    return rc;
}

void ucx_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg)
{
    ucx_domain_own(ep->domain);
    ep->handler = *handler;
    ep->arg = arg;
    ep->handled = true;
}

int ucx_ep_peer(struct ros2_ep *ep, char *buf, size_t len)
{
    ucx_domain_own(ep->domain);
    return ip_address_format(&ep->peer, buf, len);
}

bool ucx_ep_alive(const struct ros2_ep *ep)
{
    return ep->state != UCX_EP_DEAD && ep->state != UCX_EP_FREED;
}

/* -- ops -- */

void ucx_ep_ready(struct ros2_ep *ep)
{
    if (ep->state == UCX_EP_FREED)
        return;
    if (!ep->in_ready)
        TAILQ_INSERT_TAIL(&ep->domain->ready, ep, ready_link);
    ep->in_ready = true;
}

static void not_ready(struct ros2_ep *ep)
{
    if (ep->in_ready)
        TAILQ_REMOVE(&ep->domain->ready, ep, ready_link);
    ep->in_ready = false;
}

void ucx_op_part_done(struct ros2_ep *ep, struct ros2_op *op, int status)
{
    if (!op)
        return;
    if (status < 0 && op->plugin[UCX_OP_STATUS] == 0)
        op->plugin[UCX_OP_STATUS] = (uint64_t)(int64_t)status;
    if (--op->plugin[UCX_OP_PARTS] > 0)
        return;
    op->plugin[UCX_OP_NEXT] = 0;
    if (ep->done_last)
        ep->done_last->plugin[UCX_OP_NEXT] = (uint64_t)(uintptr_t)op;
    else
        ep->done_first = op;
    ep->done_last = op;
    ucx_ep_ready(ep);
}

int ucx_op_run_done(struct ros2_ep *ep)
{
    struct ros2_op *last = ep->done_last;
    struct ros2_op *op;
    int count = 0;

    /* Up to the last one of now: a callback may complete more. When one of them ends ep, that runs the rest. */
    while ((op = ep->done_first) != NULL) {
        ep->done_first = (struct ros2_op *)(uintptr_t)op->plugin[UCX_OP_NEXT];
        if (!ep->done_first)
            ep->done_last = NULL;
        bool stop = op == last;
        count++;
        op->done(op, (int)(int64_t)op->plugin[UCX_OP_STATUS]);
        if (stop)
            break;
    }
    return count;
}

/* -- ending -- */

int ucx_ep_fail(struct ros2_ep *ep, int err, const char *why)
{
    char peer[IP_ADDRESS_TEXT];

    if (ip_address_format(&ep->peer, peer, sizeof peer) < 0)
        peer[0] = 0;
    return ep->domain->host->fail(err, "%s: connection with %s: %s", ep->domain->name, peer,
                                  why ? why : "unknown error");
}

void ucx_ep_down(struct ros2_ep *ep, int err)
{
    if (!ep->down)
        ep->error = err;
    ep->down = true;
    if (ucx_ep_alive(ep))
        ucx_ep_ready(ep);
}

/* UCX says "timeout" and more when a connection that stood is broken, whatever it was. */
void ucx_ep_failed(struct ros2_ep *ep, ucs_status_t status)
{
    if (ep->state == UCX_EP_LINGERING)
        ep->failed = true; /* there is nothing to wait for without a goodbye */
    if (ep->state != UCX_EP_CONNECTING)
        ucx_ep_down(ep, -ECONNRESET);
    else if (status == UCS_ERR_CONNECTION_RESET) /* what rdma_cm says where nobody listens */
        ucx_ep_down(ep, -ECONNREFUSED);
    else
        ucx_ep_down(ep, ucx_errno(status));
}

void ucx_ep_broke(struct ros2_ep *ep, const char *how)
{
    ucx_ep_fail(ep, EPROTO, how);
    ep->failed = true; /* what it will do is anybody's guess */
    ucx_ep_down(ep, -EPROTO);
}

/* Gets of which UCX has nothing: the peer was asked, and has not answered. */
static void forget_asked(struct ros2_ep *ep)
{
    struct ucx_work *work, *next;

    for (work = LIST_FIRST(&ep->works); work; work = next) {
        next = LIST_NEXT(work, link);
        if (work->asked)
            ucx_work_end(work, UCS_ERR_CANCELED);
    }
}

/* Closes UCX's endpoint, and turns until it has given everything back. */
static void break_off(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;
    const ucp_request_param_t force = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                       .flags = UCP_EP_CLOSE_FLAG_FORCE};
    ucp_ep_h ucp = ep->ucp;
    struct ucx_work *work;

    ep->ucp = NULL;
    forget_asked(ep);
    ucs_status_ptr_t request = ucp_ep_close_nbx(ucp, &force);
    if (UCS_PTR_IS_PTR(request))
        ucp_request_free(request);
    const uint64_t end_ns = domain->host->now_ns() + GIVE_BACK_NS;
    while (ep->work_count > 0 && domain->host->now_ns() < end_ns)
        ucx_domain_turn(domain);
    for (int i = 0; i < TURNS; i++)
        ucx_domain_turn(domain);
    if (ep->work_count == 0)
        return;
    domain->host->log(ROS2_LOG_ERROR, "transport/ucx",
                      "UCX does not give back %u requests of a connection that was closed",
                      ep->work_count);
    LIST_FOREACH(work, &ep->works, link)
    {
        if (work->kind == UCX_WORK_GET)
            ucx_op_part_done(ep, work->op, ep->verdict);
        else if (work->kind == UCX_WORK_MESSAGE)
            ucx_message_left(ep, work->item, ep->verdict);
        work->op = NULL;
        work->item = NULL;
    }
}

/* UCX keeps its requests, which refer to memory of ours only; their users hear that they are over. */
static void let_go(struct ros2_ep *ep)
{
    struct ucx_work *work;

    forget_asked(ep);
    LIST_FOREACH(work, &ep->works, link)
    {
        if (work->kind == UCX_WORK_MESSAGE && work->item) {
            ucx_op_part_done(ep, work->item->op, ep->verdict);
            work->item->op = NULL;
        } else if (work->kind == UCX_WORK_PUT) {
            work->item = NULL;
        }
    }
}

bool ucx_ep_may_close(const struct ros2_ep *ep)
{
    if (ep->failed || ep->domain->closing || ucx_domain_forked(ep->domain))
        return true;
    if (!ep->ucp)
        return !ucx_oob_committed(ep);
    return ep->domain->variant->rdma ? ep->settled : ep->heard && ep->answered;
}

void ucx_ep_unlink(struct ros2_ep *ep, int verdict)
{
    struct ros2_domain *domain = ep->domain;
    struct ucx_eps *list = ep->state == UCX_EP_DEAD        ? &domain->dead
                           : ep->state == UCX_EP_LINGERING ? &domain->lingering
                                                           : &domain->eps;

    TAILQ_REMOVE(list, ep, link);
    domain->accepting -= ep->state == UCX_EP_ACCEPTING;
    not_ready(ep);
    ep->down = true;
    ep->verdict = verdict;
    if (ucx_ep_may_close(ep)) {
        ucx_table_remove(&domain->table, ep->number);
        if (ep->ucp && !ucx_domain_forked(domain))
            break_off(ep);
        ep->ucp = NULL;
        ucx_oob_end(ep);
    } else {
        let_go(ep);
    }
    ucx_message_cancel(ep, verdict);
    ucx_receive_drop(ep);
    not_ready(ep);
}

void ucx_ep_bury(struct ros2_ep *ep)
{
    ep->state = UCX_EP_FREED;
    TAILQ_INSERT_TAIL(&ep->domain->graveyard, ep, link);
}

/* Tells the users of all ops. */
static void finish(struct ros2_ep *ep)
{
    while (ep->done_first)
        ucx_op_run_done(ep);
    if (ep->state != UCX_EP_LINGERING) /* it may have failed while it said goodbye */
        not_ready(ep);
}

/* What an op may be told. */
static int op_status(int err)
{
    return err == -EPIPE || err == -EPROTO ? err : -ECONNRESET;
}

void ucx_ep_die(struct ros2_ep *ep, int err)
{
    if (ep->state == UCX_EP_CONNECTING && err != -EPROTO)
        ucx_ep_fail(ep, -err, strerrordesc_np(-err));
    ucx_ep_unlink(ep, op_status(err));
    ep->state = UCX_EP_DEAD;
    TAILQ_INSERT_TAIL(&ep->domain->dead, ep, link);
    finish(ep);
    if (ep->state != UCX_EP_DEAD)
        return;
    if (!ep->handled)
        ucx_ep_abort(ep); /* nobody has heard of it */
    else if (ep->handler.closed)
        ep->handler.closed(ep->arg, ep, err);
}

void ucx_ep_abort(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    ucx_domain_own(domain);
    if (ep->state == UCX_EP_FREED || ep->state == UCX_EP_LINGERING)
        return;
    ucx_domain_enter(domain);
    if (!ucx_ep_may_close(ep)) {
        ucx_linger_stay(ep);
    } else {
        ucx_ep_unlink(ep, -ECANCELED);
        ucx_ep_bury(ep);
    }
    finish(ep);
    ucx_domain_leave(domain);
}

void ucx_ep_expire(struct ros2_domain *domain, uint64_t now_ns)
{
    struct ros2_ep *ep, *next;

    TAILQ_FOREACH(ep, &domain->eps, link)
    {
        if (ep->state != UCX_EP_CONNECTING && ep->state != UCX_EP_ACCEPTING)
            continue;
        if (ep->until_ns <= now_ns)
            ucx_ep_down(ep, -ETIMEDOUT);
        else
            ucx_domain_wake_at(domain, ep->until_ns);
    }
    for (ep = TAILQ_FIRST(&domain->lingering); ep; ep = next) {
        next = TAILQ_NEXT(ep, link);
        if (ep->left && domain->variant->rdma)
            continue;
        if (ep->until_ns > now_ns)
            ucx_domain_wake_at(domain, ep->until_ns);
        else
            ucx_linger_expired(ep);
    }
}
