/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners of devices. UCX tells of who asks within ucp_worker_progress(); his endpoint is made after it, unless the
 * listener is paused. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ucx/descriptors.h"
#include "transports/ucx/message.h"

#define ACCEPTS_PER_TURN 64
/* Connections that were asked for and do not stand yet, with an endpoint and without. */
#define ACCEPTING_MAX 512u
#define ASKERS_MAX    1024u

/* -- connecting -- */

int ucx_cm_connect(struct ros2_ep *ep)
{
    ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR,
        .flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER,
        .sockaddr = {&ep->peer.any, ip_address_len(&ep->peer)},
    };
    const int rc = ucx_ep_begin(ep, &params);

    if (rc == 0)
        ucx_message_greet(ep, UCX_HELLO);
    return rc;
}

/* -- who asks -- */

static void copy_address(union ip_address *to, const struct sockaddr_storage *from)
{
    *to = (union ip_address){0};
    memcpy(to, from, sizeof *to);
}

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

bool ucx_cm_busy(const struct ros2_listener *listener)
{
    return !listener->paused && !listener->closed && listener->asker_count > 0 &&
           listener->domain->accepting < ACCEPTING_MAX;
}

static void accept_asker(struct ros2_listener *listener, const struct ucx_asker *asker)
{
    ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST,
                              .conn_request = asker->request};
    struct ros2_ep *ep;

    if (ucx_ep_new(listener->domain, &asker->peer, UCX_EP_ACCEPTING, &ep) < 0) {
        (void)ucp_listener_reject(listener->ucp, asker->request);
        return;
    }
    ep->listener = listener;
    ep->settled = true;
    if (ucx_ep_begin(ep, &params) < 0)
        ucx_ep_abort(ep); /* UCX has seen to the request */
}

int ucx_cm_progress(struct ros2_listener *listener)
{
    int count = 0;

    for (; count < ACCEPTS_PER_TURN && ucx_cm_busy(listener); count++) {
        struct ucx_asker *asker = next_asker(listener);
        accept_asker(listener, asker);
        free(asker);
    }
    return count;
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

int ucx_cm_listen(struct ros2_listener *listener, const char *address)
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
    if (status == UCS_OK) {
        ucx_descriptors_set_up(domain);
        return 0;
    }
    const int err = status == UCS_ERR_BUSY ? EADDRINUSE : bind_error(&listener->local);
    if (err)
        return domain->host->fail(err == EADDRNOTAVAIL ? EINVAL : err,
                                  "%s: listen on %s: %s; choose another address or port",
                                  domain->name, address, strerrordesc_np(err));
    return domain->host->fail(status == UCS_ERR_INVALID_ADDR ? EINVAL : -ucx_errno(status),
                              "%s: listen on %s: UCX says: %s; choose another address or port",
                              domain->name, address, ucs_status_string(status));
}

void ucx_cm_listener_close(struct ros2_listener *listener)
{
    const bool forked = ucx_domain_forked(listener->domain);
    struct ucx_asker *asker;

    while ((asker = next_asker(listener)) != NULL) {
        if (!forked)
            (void)ucp_listener_reject(listener->ucp, asker->request);
        free(asker);
    }
    if (!forked)
        ucp_listener_destroy(listener->ucp);
}
