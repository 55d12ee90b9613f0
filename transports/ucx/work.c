/* SPDX-License-Identifier: Apache-2.0 */
/* Each request of UCX has a work of ours, which it completes exactly once: in the call that made it, later from
 * ucp_worker_progress(), or, when its endpoint is closed by force, from there too. No callback of a user runs here.
 * Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/work.h"

#include <errno.h>
#include <stdlib.h>

#include "transports/ucx/context.h"
#include "transports/ucx/copy.h"
#include "transports/ucx/message.h"
#include "transports/ucx/region.h"

struct ucx_work *ucx_work_take(struct ros2_ep *ep, enum ucx_work_kind kind)
{
    struct ros2_domain *domain = ep->domain;
    struct ucx_work *work = domain->free_works;

    if (work)
        domain->free_works = work->next;
    else
        work = malloc(sizeof *work);
    if (!work)
        return NULL;
    *work = (struct ucx_work){.kind = kind, .ep = ep};
    LIST_INSERT_HEAD(&ep->works, work, link);
    ep->work_count++;
    return work;
}

void ucx_works_free(struct ros2_domain *domain)
{
    while (domain->free_works) {
        struct ucx_work *work = domain->free_works;
        domain->free_works = work->next;
        free(work);
    }
}

/* What an op is told of a part that UCX gave back. When the connection was being closed nobody may rely on it. */
static int verdict(const struct ros2_ep *ep, ucs_status_t status)
{
    if (ep->verdict)
        return ep->verdict;
    return status == UCS_OK ? 0 : -ECONNRESET;
}

void ucx_work_end(struct ucx_work *work, ucs_status_t status)
{
    struct ros2_ep *ep = work->ep;
    struct ros2_domain *domain = ep->domain;
    const struct ucx_work was = *work;

    LIST_REMOVE(work, link);
    ep->work_count--;
    ep->waits_ns = 0;
    if (was.number)
        ucx_table_remove(&domain->table, was.number);
    work->next = domain->free_works;
    domain->free_works = work;

    ep->serving -= was.kind == UCX_WORK_SERVE;
    if (was.copy)
        ucx_copy_free(domain, was.copy, was.copy_len);
    if (was.rkey)
        ucx_rkey_left(was.rkey);
    if (status != UCS_OK && ep->ucp)
        ucx_ep_failed(ep, status);
    if (was.kind == UCX_WORK_MESSAGE)
        ucx_message_left(ep, was.item, verdict(ep, status));
    else if (was.kind == UCX_WORK_PUT)
        ucx_message_part_done(ep, was.item, verdict(ep, status));
    else if (was.kind == UCX_WORK_GET)
        ucx_op_part_done(ep, was.op, verdict(ep, status));
}

static void sent(void *request, ucs_status_t status, void *work)
{
    ucp_request_free(request);
    ucx_work_end(work, status);
}

void ucx_work_started(struct ucx_work *work, ucs_status_ptr_t request)
{
    if (!request)
        ucx_work_end(work, UCS_OK);
    else if (UCS_PTR_IS_ERR(request))
        ucx_work_end(work, UCS_PTR_STATUS(request));
}

ucp_request_param_t ucx_work_param(struct ucx_work *work, ucp_mem_h memory)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
        .cb.send = sent,
        .user_data = work,
    };

    if (memory) {
        param.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMH;
        param.memh = memory;
    }
    return param;
}

void ucx_work_send(struct ucx_work *work, const struct ucx_header *header, const void *data,
                   size_t len, uint32_t flags)
{
    ucp_request_param_t param = ucx_work_param(work, NULL);

    param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = flags;
    ucx_header_encode(header, work->header);
    const struct ros2_host *was = ucx_context_log_to(work->ep->domain->host);
    ucs_status_ptr_t request =
        ucp_am_send_nbx(work->ep->ucp, UCX_WIRE_AM, work->header, UCX_HEADER, data, len, &param);
    (void)ucx_context_log_to(was);
    ucx_work_started(work, request);
}
