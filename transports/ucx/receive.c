/* SPDX-License-Identifier: Apache-2.0 */
/* The handler runs within ucp_worker_progress(), where no endpoint may be closed: so it only checks and takes down what
 * came, and the user hears of it after. Transfers in regions it makes by itself. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/receive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ucx/copy.h"
#include "transports/ucx/descriptors.h"
#include "transports/ucx/linger.h"
#include "transports/ucx/listener.h"
#include "transports/ucx/message.h"
#include "transports/ucx/region.h"
#include "transports/ucx/work.h"

/* An active message, as UCX hands it over. */
struct incoming {
    struct ucx_header header;
    void *data;
    size_t len;
    bool waits; /* at the sender; data is what to fetch it by */
};

/* -- whose it is -- */

static struct ros2_ep *who_greets(struct ros2_domain *domain, ucp_ep_h reply_to)
{
    struct ros2_ep *ep;

    /* The newest are last. */
    TAILQ_FOREACH_REVERSE(ep, &domain->eps, ucx_eps, link)
    if (ep->state == UCX_EP_ACCEPTING && ep->ucp == reply_to)
        return ep;
    return NULL;
}

/* -- for the user -- */

static ucs_status_t keep(struct ros2_ep *ep, const struct incoming *in)
{
    struct ros2_domain *domain = ep->domain;
    struct ucx_arrival *arrival = domain->free_arrivals;

    if (arrival)
        domain->free_arrivals = arrival->next;
    else
        arrival = malloc(sizeof *arrival);
    if (!arrival) {
        ucx_ep_down(ep, -ENOMEM);
        return UCS_OK;
    }
    *arrival = (struct ucx_arrival){
        .type = in->header.type, .data = in->len > 0 ? in->data : NULL, .len = in->len};
    STAILQ_INSERT_TAIL(&ep->inbox, arrival, link);
    ucx_ep_ready(ep);
    return arrival->data ? UCS_INPROGRESS : UCS_OK;
}

static ucs_status_t take_message(struct ros2_ep *ep, const struct incoming *in)
{
    if (in->len > ep->domain->max_message)
        ucx_ep_broke(ep, "it sent a message that is longer than agreed");
    else
        return keep(ep, in);
    return UCS_OK;
}

static bool is_due(const struct ros2_ep *ep, enum ucx_message_type type)
{
    const bool hello = type == UCX_HELLO;

    if (ep->introduced)
        return false;
    return ep->domain->variant->rdma ? ep->asks != hello : ep->greeted != hello;
}

/* Of a device one end greets and the other answers. Over tcp both do both, as neither knows otherwise whether the other's
 * endpoint of UCX stands; also when the user has gone meanwhile. */
static ucs_status_t take_greeting(struct ros2_ep *ep, const struct incoming *in)
{
    const bool rdma = ep->domain->variant->rdma;

    /* Who answers our HELLO before our endpoint has sent one lies. */
    const bool early = !rdma && in->header.type == UCX_WELCOME && !ep->ucp;

    if (early || !is_due(ep, in->header.type) || in->len > 0 ||
        in->header.b != ((uint64_t)UCX_WIRE_VERSION << 32 | UCX_WIRE_MAGIC)) {
        ucx_ep_broke(ep, "it does not greet as transport ucx of this version does");
        return UCS_OK;
    }
    if (!rdma && in->header.type == UCX_HELLO) {
        ep->greeted = true;
        if (ep->ucp)
            ucx_message_greet(ep, UCX_WELCOME); /* else when there is one */
        return UCS_OK;
    }
    ep->introduced = true;
    ep->settled = true;
    if (rdma)
        ep->peer_number = in->header.a;
    if (ep->state == UCX_EP_CONNECTING || ep->state == UCX_EP_ACCEPTING)
        return keep(ep, in);
    if (rdma)
        ucx_ep_down(ep, -EPIPE);
    else if (ep->state == UCX_EP_LINGERING)
        ucx_linger_part(ep);
    return UCS_OK;
}

/* -- in regions, and for gets -- */

static struct ucx_work *serve(struct ros2_ep *ep)
{
    /* The peer may take an answer for complete before we do: twice what it may have in flight. */
    if (ep->serving >= 2 * UCX_WORKS) {
        ucx_ep_broke(ep, "it asked for more at a time than agreed");
        return NULL;
    }
    struct ucx_work *work = ucx_work_take(ep, UCX_WORK_SERVE);
    if (!work) {
        ucx_ep_down(ep, -ENOMEM);
        return NULL;
    }
    ep->serving++;
    return work;
}

static ucs_status_t take_put(struct ros2_ep *ep, const struct incoming *in)
{
    struct ros2_region *region =
        ucx_region_find(ep->domain, in->header.a, ROS2_REGION_REMOTE_WRITE, in->header.b, in->len);

    if (!region) {
        ucx_ep_broke(ep, "it put to memory that it has no right to");
        return UCS_OK;
    }
    if (in->len > 0)
        memcpy(region->addr + in->header.b, in->data, in->len);
    return UCS_OK;
}

static ucs_status_t take_get(struct ros2_ep *ep, const struct incoming *in)
{
    const struct ucx_header answer = {.type = UCX_DATA, .to = ep->peer_number, .a = in->header.d};
    struct ros2_region *region = ucx_region_find(ep->domain, in->header.a, ROS2_REGION_REMOTE_READ,
                                                 in->header.b, in->header.c);

    if (!region || in->len > 0 || in->header.c > UCX_COPY_MAX) {
        ucx_ep_broke(ep, "it asked for memory that it has no right to");
        return UCS_OK;
    }
    struct ucx_work *work = serve(ep);
    if (!work)
        return UCS_OK;
    if (ucx_copy(work, region->addr + in->header.b, in->header.c) == 0)
        ucx_work_send(work, &answer, work->copy, in->header.c, UCP_AM_SEND_FLAG_EAGER);
    else
        ucx_work_end(work, UCS_ERR_NO_MEMORY);
    return UCS_OK;
}

static ucs_status_t take_data(struct ros2_ep *ep, const struct incoming *in)
{
    struct ucx_work *work = ucx_table_find(&ep->domain->table, UCX_GET, in->header.a);

    if (!work || work->ep != ep || !work->asked || work->len != in->len) {
        ucx_ep_broke(ep, "it sent data that it was not asked for");
        return UCS_OK;
    }
    work->asked = false;
    if (in->len > 0)
        memcpy(work->target, in->data, in->len);
    ucx_work_end(work, UCS_OK);
    return UCS_OK;
}

/* -- the end -- */

/* Over tcp: the connection may be closed when each end knows that the other has heard its last word. */
static void take_parting(struct ros2_ep *ep, enum ucx_message_type type)
{
    if (type == UCX_BYE && !ep->heard && ep->ucp) {
        ep->heard = true;
        ucx_message_answer(ep);
    }
    ep->answered |= type == UCX_HEARD && ep->bye;
    if (ep->state == UCX_EP_LINGERING && ep->heard && ep->answered)
        ucx_ep_down(ep, -EPIPE);
}

/* -- the handler -- */

static ucs_status_t dispatch(struct ros2_ep *ep, const struct incoming *in)
{
    const enum ucx_message_type type = in->header.type;

    if (ep->state == UCX_EP_FREED || ep->failed)
        return UCS_OK;
    if (in->waits) {
        ucx_ep_broke(ep, "it sent something by rendezvous");
        return UCS_OK;
    }
    if ((type == UCX_HELLO || type == UCX_WELCOME) && (!ep->down || !ep->settled))
        return take_greeting(ep, in);
    if (ep->introduced && (type == UCX_BYE || type == UCX_HEARD) && !ep->domain->variant->rdma)
        take_parting(ep, type);
    if (ep->down || !ucx_ep_alive(ep) || type == UCX_HEARD)
        return UCS_OK;
    if (ep->state == UCX_EP_LINGERING) {
        if (type == UCX_BYE && ep->domain->variant->rdma)
            ucx_ep_down(ep, -EPIPE);
        return UCS_OK;
    }
    if (!ep->introduced) {
        ucx_ep_broke(ep, "it sent something before its greeting");
        return UCS_OK;
    }
    switch (type) {
    case UCX_MESSAGE:
    case UCX_BYE:
        return take_message(ep, in);
    case UCX_PUT:
        return take_put(ep, in);
    case UCX_GET_FROM:
        return take_get(ep, in);
    case UCX_DATA:
        return take_data(ep, in);
    case UCX_BEAT:
        return UCS_OK;
    default:
        ucx_ep_broke(ep, "it sent something of an unknown kind");
        return UCS_OK;
    }
}

static ucs_status_t arrived(void *arg, const void *header, size_t header_len, void *data,
                            size_t len, const ucp_am_recv_param_t *param)
{
    struct ros2_domain *domain = arg;
    struct ros2_ep *ep = NULL;

    if (header_len != UCX_HEADER)
        return UCS_OK; /* whose, is not known; it fails at its deadline */
    const struct incoming in = {.header = ucx_header_decode(header),
                                .data = data,
                                .len = len,
                                .waits = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0};
    if (domain->variant->rdma && in.header.type == UCX_HELLO &&
        param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP)
        ep = who_greets(domain, param->reply_ep);
    else
        ep = ucx_table_find(&domain->table, UCX_ENDPOINT, in.header.to);
    return ep ? dispatch(ep, &in) : UCS_OK;
}

int ucx_receive_start(struct ros2_domain *domain)
{
    const ucp_am_handler_param_t param = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                      UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = UCX_WIRE_AM,
        .flags = UCP_AM_FLAG_WHOLE_MSG | UCP_AM_FLAG_PERSISTENT_DATA,
        .cb = arrived,
        .arg = domain,
    };
    ucs_status_t status = ucp_worker_set_am_recv_handler(domain->worker, &param);

    return status == UCS_OK ? 0 : ucx_domain_complain(domain, "active messages", status);
}

/* -- delivery -- */

static struct ucx_arrival *take_arrival(struct ros2_ep *ep)
{
    struct ucx_arrival *arrival = STAILQ_FIRST(&ep->inbox);

    if (arrival)
        STAILQ_REMOVE_HEAD(&ep->inbox, link);
    return arrival;
}

static void give_arrival(struct ros2_domain *domain, struct ucx_arrival *arrival)
{
    if (arrival->data)
        ucp_am_data_release(domain->worker, arrival->data);
    arrival->next = domain->free_arrivals;
    domain->free_arrivals = arrival;
}

static void established(struct ros2_ep *ep)
{
    ep->state = UCX_EP_OPEN;
    ep->usable = true;
    ucx_descriptors_set_up(ep->domain);
    if (ep->asks) {
        if (ep->handler.connected)
            ep->handler.connected(ep->arg, ep);
        return;
    }
    ep->domain->accepting--;
    if (ep->domain->variant->rdma)
        ucx_message_greet(ep, UCX_WELCOME);
    ucx_listener_accepted(ep);
}

int ucx_receive_deliver(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;
    struct ucx_arrival *arrival;
    int count = 0;

    while (ucx_ep_alive(ep) && (arrival = take_arrival(ep)) != NULL) {
        count++;
        if (arrival->type == UCX_MESSAGE && ep->state == UCX_EP_OPEN && ep->handler.message)
            ep->handler.message(ep->arg, ep, arrival->data ? arrival->data : "", arrival->len);
        else if (arrival->type == UCX_BYE)
            ucx_ep_die(ep, -EPIPE);
        else if (arrival->type == UCX_HELLO || arrival->type == UCX_WELCOME)
            established(ep);
        give_arrival(domain, arrival);
    }
    return count;
}

bool ucx_receive_drop(struct ros2_ep *ep)
{
    struct ucx_arrival *arrival;
    bool bye = false;

    while ((arrival = take_arrival(ep)) != NULL) {
        bye |= arrival->type == UCX_BYE;
        give_arrival(ep->domain, arrival);
    }
    return bye;
}

void ucx_arrivals_free(struct ros2_domain *domain)
{
    while (domain->free_arrivals) {
        struct ucx_arrival *arrival = domain->free_arrivals;
        domain->free_arrivals = arrival->next;
        free(arrival);
    }
}
