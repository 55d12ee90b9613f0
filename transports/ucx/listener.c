/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners by socket address. UCX tells of who asks within ucp_worker_progress(); his endpoint is made after it, unless the
 * listener is paused. Owner: the domain's thread. Always: an endpoint that is ACCEPTING has its listener, which is cleared when
 * the listener closes. */
#include "config.h"

#include "transports/ucx/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ucx/descriptors.h"

#define ACCEPTS_PER_TURN 64
/* Connections that were asked for and do not stand yet, with an endpoint and without. */
#define ACCEPTING_MAX 512u
#define ASKERS_MAX    1024u

static void copy_address(union ip_address *to, const struct sockaddr_storage *from)
{
    *to = (union ip_address){0};
    memcpy(to, from, sizeof *to);
}

/* -- who asks -- */

static void asked(ucp_conn_request_h request, void *arg)
{
    struct ros2_listener *listener = arg;
    ucp_conn_request_attr_t attr = {.field_mask = UCP_CONN_REQUEST_ATTR_FIELD_CLIENT_ADDR};
    struct ucx_asker *asker =
        listener->closed || listener->asker_count >= ASKERS_MAX ? NULL : malloc(sizeof *asker);

    if (!asker) {
        (void)ucp_listener_reject(listener->ucp, request);
        return;
    }
    asker->request = request;
    if (ucp_conn_request_query(request, &attr) == UCS_OK)
        copy_address(&asker->peer, &attr.client_address);
    else
        asker->peer = (union ip_address){.v4 = {.sin_family = AF_INET}};
    STAILQ_INSERT_TAIL(&listener->askers, asker, link);
    listener->asker_count++;
}

static struct ucx_asker *next_asker(struct ros2_listener *listener)
{
    struct ucx_asker *asker = STAILQ_FIRST(&listener->askers);

    if (asker) {
        STAILQ_REMOVE_HEAD(&listener->askers, link);
        listener->asker_count--;
    }
    return asker;
}

bool ucx_listener_busy(const struct ros2_listener *listener)
{
    return !listener->paused && !listener->closed && listener->asker_count > 0 &&
           listener->domain->accepting < ACCEPTING_MAX;
}

int ucx_listener_progress(struct ros2_listener *listener)
{
    int count = 0;

    while (count < ACCEPTS_PER_TURN && ucx_listener_busy(listener)) {
        struct ucx_asker *asker = next_asker(listener);
        struct ros2_ep *ep;
        bool taken = false; /* then UCX sees to him, also where it fails */
        if (ucx_ep_create(listener->domain, &asker->peer, asker->request, &taken, &ep) == 0)
            ep->listener = listener;
        else if (!taken)
            (void)ucp_listener_reject(listener->ucp, asker->request);
        free(asker);
        count++;
    }
    return count;
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

/* -- listening -- */

/* UCX has one word for all that bind() says. */
static int bind_error(const union ip_address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int err = 0;

    if (fd < 0 || bind(fd, &address->any, ip_address_len(address)) < 0)
        err = errno;
    if (fd >= 0)
        close(fd);
    return err;
}

static int open_ucp(struct ros2_listener *listener, const char *address)
{
    struct ros2_domain *domain = listener->domain;
    const ucp_listener_params_t params = {
        .field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER,
        .sockaddr = {&listener->local.any, ip_address_len(&listener->local)},
        .conn_handler = {asked, listener},
    };
    ucp_listener_attr_t attr = {.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR};
    ucs_status_t status = ucp_listener_create(domain->worker, &params, &listener->ucp);

    if (status == UCS_OK) {
        status = ucp_listener_query(listener->ucp, &attr);
        if (status == UCS_OK)
            copy_address(&listener->local, &attr.sockaddr);
        else
            ucp_listener_destroy(listener->ucp);
    }
    if (status == UCS_OK)
        return 0;
    const int err = status == UCS_ERR_BUSY ? EADDRINUSE : bind_error(&listener->local);
    if (err)
        return domain->host->fail(err == EADDRNOTAVAIL ? EINVAL : err,
                                  "%s: listen on %s: %s; choose another address or port",
                                  domain->name, address, strerrordesc_np(err));
    return domain->host->fail(status == UCS_ERR_INVALID_ADDR ? EINVAL : -ucx_errno(status),
                              "%s: listen on %s: UCX says: %s; choose another address or port",
                              domain->name, address, ucs_status_string(status));
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
    STAILQ_INIT(&listener->askers);
    ucx_domain_enter(domain);
    rc = open_ucp(listener, address);
    ucx_domain_leave(domain);
    if (rc < 0) {
        free(listener);
        return rc;
    }
    ucx_descriptors_set_up(domain);
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
    struct ucx_asker *asker;
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
    while ((asker = next_asker(listener)) != NULL) {
        if (!ucx_domain_forked(domain))
            (void)ucp_listener_reject(listener->ucp, asker->request);
        free(asker);
    }
    if (!ucx_domain_forked(domain))
        ucp_listener_destroy(listener->ucp);
    TAILQ_REMOVE(&domain->listeners, listener, link);
    TAILQ_INSERT_TAIL(&domain->listener_graveyard, listener, link);
    ucx_domain_leave(domain);
}
