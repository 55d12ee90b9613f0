/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners, whichever way their connections come about. Owner: the domain's thread. Always: an endpoint that is ACCEPTING has
 * its listener, which is cleared when the listener closes. */
#include "config.h"

#include "transports/ucx/listener.h"

#include <errno.h>
#include <stdlib.h>

#include "transports/ucx/cm.h"
#include "transports/ucx/oob.h"

bool ucx_listener_busy(const struct ros2_listener *listener)
{
    return listener->domain->variant->rdma && ucx_cm_busy(listener);
}

int ucx_listener_progress(struct ros2_listener *listener)
{
    return listener->domain->variant->rdma ? ucx_cm_progress(listener) : 0;
}

void ucx_listener_accepted(struct ros2_ep *ep)
{
    struct ros2_listener *listener = ep->listener;

    ep->listener = NULL;
    if (listener)
        listener->on_accept(listener->arg, listener, ep);
    if (ep->state == UCX_EP_OPEN && !ep->handled)
        ucx_ep_abort(ep);
}

int ucx_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p)
{
    union ip_address local;

    ucx_domain_own(domain);
    int rc = ucx_domain_parse(domain, "listen on", address, &local);
    if (rc < 0)
        return rc;
    struct ros2_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return domain->host->fail(ENOMEM, "%s: listen on %s: out of memory", domain->name, address);
    listener->domain = domain;
    listener->on_accept = on_accept;
    listener->arg = arg;
    listener->local = local;
    listener->fd = -1;
    STAILQ_INIT(&listener->askers);
    ucx_domain_enter(domain);
    rc = domain->variant->rdma ? ucx_cm_listen(listener, address)
                               : ucx_oob_listen(listener, address);
    ucx_domain_leave(domain);
    if (rc < 0) {
        free(listener);
        return rc;
    }
    TAILQ_INSERT_TAIL(&domain->listeners, listener, link);
    *listener_p = listener;
    return 0;
}

int ucx_listener_address(struct ros2_listener *listener, char *buf, size_t len)
{
    ucx_domain_own(listener->domain);
    return ip_address_format(&listener->local, buf, len);
}

void ucx_listener_pause(struct ros2_listener *listener, int paused)
{
    ucx_domain_own(listener->domain);
    listener->paused = paused != 0;
}

void ucx_listener_close(struct ros2_listener *listener)
{
    struct ros2_domain *domain = listener->domain;
    struct ros2_ep *ep;

    ucx_domain_own(domain);
    if (listener->closed)
        return;
    ucx_domain_enter(domain);
    listener->closed = true;
    TAILQ_FOREACH(ep, &domain->eps, link)
    {
        if (ep->listener == listener)
            ep->listener = NULL;
    }
    if (domain->variant->rdma)
        ucx_cm_listener_close(listener);
    else
        ucx_oob_listener_close(listener);
    TAILQ_REMOVE(&domain->listeners, listener, link);
    TAILQ_INSERT_TAIL(&domain->listener_graveyard, listener, link);
    ucx_domain_leave(domain);
}
