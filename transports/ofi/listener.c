/* SPDX-License-Identifier: Apache-2.0 */
/* Listening endpoints. Who asks must greet as we do; the user hears of a connection once it stands. Owner: the domain's
 * thread. Always: an endpoint that is ACCEPTING has its listener, which is cleared when the listener closes. */
#include "config.h"

#include "transports/ofi/listener.h"

#include <errno.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ofi/descriptors.h"
#include "transports/ofi/endpoint.h"

#define ACCEPTS_PER_TURN 64
#define REJECTS_AT_CLOSE 4096
/* Connections that were asked for and do not stand yet: each holds memory, and on a device a queue pair. */
#define ACCEPTING_MAX 512u

struct fi_info *ofi_info_with_address(struct ros2_domain *domain, const union ip_address *address,
                                      bool local)
{
    struct fi_info *info = fi_dupinfo(domain->info);
    const size_t len = ip_address_len(address);

    if (!info)
        return NULL;
    free(info->src_addr);
    free(info->dest_addr);
    info->src_addr = info->dest_addr = NULL;
    info->src_addrlen = info->dest_addrlen = 0;
    void *copy = malloc(len);
    if (!copy) {
        fi_freeinfo(info);
        return NULL;
    }
    memcpy(copy, address, len);
    info->addr_format = address->any.sa_family == AF_INET6 ? FI_SOCKADDR_IN6 : FI_SOCKADDR_IN;
    if (local) {
        info->src_addr = copy;
        info->src_addrlen = len;
    } else {
        info->dest_addr = copy;
        info->dest_addrlen = len;
    }
    return info;
}

/* -- listening -- */

static int open_pep(struct ros2_listener *listener)
{
    struct ros2_domain *domain = listener->domain;
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_FD};
    size_t len = sizeof listener->local;
    struct fi_info *info = ofi_info_with_address(domain, &listener->local, true);

    if (!info)
        return -ENOMEM;
    int rc = fi_passive_ep(domain->fabric, info, &listener->pep, listener);
    if (rc == 0)
        rc = fi_eq_open(domain->fabric, &eq, &listener->eq, listener);
    if (rc == 0)
        rc = fi_pep_bind(listener->pep, &listener->eq->fid, 0);
    if (rc == 0)
        rc = fi_listen(listener->pep);
    if (rc == 0)
        rc = fi_getname(&listener->pep->fid, &listener->local, &len);
    fi_freeinfo(info);
    return rc;
}

static void close_pep(struct ros2_listener *listener)
{
    if (ofi_domain_forked(listener->domain)) {
        ofi_descriptors_drop(&listener->eq->fid);
        return;
    }
    if (listener->pep)
        fi_close(&listener->pep->fid);
    if (listener->eq)
        fi_close(&listener->eq->fid);
}

int ofi_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p)
{
    union ip_address local;

    ofi_domain_own(domain);
    if (ip_address_parse(address, &local) < 0)
        return domain->host->fail(
            EINVAL, "%s: listen on %s: not an address; write HOST:PORT or [V6]:PORT with numbers",
            domain->name, address);
    struct ros2_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return domain->host->fail(ENOMEM, "%s: listen on %s: out of memory", domain->name, address);
    listener->domain = domain;
    listener->on_accept = on_accept;
    listener->arg = arg;
    listener->local = local;
    int rc = open_pep(listener);
    if (rc < 0)
        domain->host->fail(-rc, "%s: listen on %s: %s; choose another address or port",
                           domain->name, address, fi_strerror(-rc));
    else
        rc = ofi_domain_watch(domain, &listener->eq->fid);
    if (rc == 0)
        ofi_descriptors_set_up(&listener->eq->fid);
    if (rc < 0) {
        close_pep(listener);
        free(listener);
        return rc == -EADDRNOTAVAIL ? -EINVAL : rc;
    }
    TAILQ_INSERT_TAIL(&domain->listeners, listener, link);
    *listener_p = listener;
    return 0;
}

int ofi_listener_address(struct ros2_listener *listener, char *buf, size_t len)
{
    ofi_domain_own(listener->domain);
    return ip_address_format(&listener->local, buf, len);
}

void ofi_listener_pause(struct ros2_listener *listener, int paused)
{
    ofi_domain_own(listener->domain);
    if (listener->closed || listener->paused == (paused != 0))
        return;
    listener->paused = paused != 0;
    if (paused)
        ofi_domain_unwatch(listener->domain, &listener->eq->fid);
    else if (ofi_domain_watch(listener->domain, &listener->eq->fid) < 0)
        listener->paused = true; /* no memory in the kernel: the next call may have it */
}

/* -- who asks -- */

/* taken: an endpoint was made of the request, and is closed. */
static void reject(struct ros2_listener *listener, struct fi_info *info, bool taken)
{
    struct fid_ep *ep;

    /* Of a device libfabric 1.17 forgets who asked without freeing it; an endpoint takes that over, and frees it. */
    if (listener->domain->provider->rdma && !taken &&
        fi_endpoint(listener->domain->fi, info, &ep, NULL) == 0)
        fi_close(&ep->fid);
    fi_reject(listener->pep, info->handle, NULL, 0);
}

static void asked(struct ros2_listener *listener, struct fi_info *info, const void *data,
                  size_t len)
{
    const struct ofi_greeting ours = {.window = OFI_WINDOW, .fragment = OFI_FRAGMENT};
    struct ros2_domain *domain = listener->domain;
    struct ofi_greeting theirs;
    uint8_t bytes[OFI_GREETING];
    struct ros2_ep *ep = NULL;

    if (ofi_greeting_decode(data, len, &theirs) < 0 || theirs.window < 2 ||
        theirs.fragment != OFI_FRAGMENT || domain->accepting >= ACCEPTING_MAX ||
        ofi_ep_create(domain, info, OFI_EP_ACCEPTING, &ep) < 0) {
        reject(listener, info, ep && ep->took);
        return;
    }
    ep->window = ep->credits = theirs.window;
    ep->listener = listener;
    if (info->dest_addr && info->dest_addrlen <= sizeof ep->peer)
        memcpy(&ep->peer, info->dest_addr, info->dest_addrlen);
    ofi_greeting_encode(&ours, bytes);
    if (fi_accept(ep->fi, bytes, sizeof bytes) < 0) {
        ofi_ep_unlink(ep);
        ofi_ep_bury(ep);
        reject(listener, info, true); /* frees what the endpoint refers to until it is closed */
    }
}

/* The next who asks. False: nobody. */
static bool next_who_asks(struct ros2_listener *listener, bool take)
{
    _Alignas(struct fi_eq_cm_entry) uint8_t entry[sizeof(struct fi_eq_cm_entry) + 256];
    struct fi_eq_cm_entry *cm = (void *)entry; /* the data of a connection follows it */
    uint8_t data[256];
    struct fi_eq_err_entry error = {.err_data = data, .err_data_size = sizeof data};
    uint32_t event;

    errno = 0; /* see progress.c */
    ssize_t n = fi_eq_read(listener->eq, &event, entry, sizeof entry, 0);
    if (n == -FI_EAVAIL) /* that one has gone away while it asked */
        return fi_eq_readerr(listener->eq, &error, 0) > 0;
    if (n < (ssize_t)sizeof *cm)
        return false;
    if (event == FI_CONNREQ) {
        if (take)
            asked(listener, cm->info, cm->data, (size_t)n - sizeof *cm);
        else
            reject(listener, cm->info, false);
        fi_freeinfo(cm->info);
    }
    return true;
}

int ofi_listener_progress(struct ros2_listener *listener)
{
    int count = 0;

    while (count < ACCEPTS_PER_TURN && !listener->closed && !listener->paused &&
           next_who_asks(listener, true))
        count++;
    return count;
}

void ofi_listener_accepted(struct ros2_ep *ep)
{
    struct ros2_listener *listener = ep->listener;

    ep->listener = NULL;
    if (listener)
        listener->on_accept(listener->arg, listener, ep);
    if (ep->state == OFI_EP_OPEN && !ep->handled)
        ofi_ep_abort(ep);
}

void ofi_listener_close(struct ros2_listener *listener)
{
    struct ros2_domain *domain = listener->domain;
    struct ros2_ep *ep;

    ofi_domain_own(domain);
    if (listener->closed)
        return;
    ofi_domain_enter(domain);
    /* Who still asks is told that nobody answers. */
    listener->paused = false;
    listener->closed = true;
    TAILQ_FOREACH(ep, &domain->eps, link)
    {
        if (ep->listener == listener)
            ep->listener = NULL;
    }
    if (!ofi_domain_forked(domain)) {
        for (int i = 0; i < REJECTS_AT_CLOSE && next_who_asks(listener, false); i++)
            ;
        ofi_domain_unwatch(domain, &listener->eq->fid);
    }
    close_pep(listener);
    TAILQ_REMOVE(&domain->listeners, listener, link);
    TAILQ_INSERT_TAIL(&domain->listener_graveyard, listener, link);
    ofi_domain_leave(domain);
}
