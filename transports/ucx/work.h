/* SPDX-License-Identifier: Apache-2.0 */
/* What UCX is given: how its requests start and end. */
#ifndef UCX_WORK_H
#define UCX_WORK_H

#include "transports/ucx/endpoint.h"

/* NULL: no memory. */
struct ucx_work *ucx_work_take(struct ros2_ep *ep, enum ucx_work_kind kind);
/* Its end: tells whoever waits for it. */
void ucx_work_end(struct ucx_work *work, ucs_status_t status);
/* What a call of UCX for this work returned: over, failed, or on its way. */
void ucx_work_started(struct ucx_work *work, ucs_status_ptr_t request);
/* Sends an active message of work's header, which is filled in here, and data. */
void ucx_work_send(struct ucx_work *work, const struct ucx_header *header, const void *data,
                   size_t len, uint32_t flags);
/* The parameters of a put or get; memory: of a registration that covers it, or NULL. */
ucp_request_param_t ucx_work_param(struct ucx_work *work, ucp_mem_h memory);
void ucx_works_free(struct ros2_domain *domain);

#endif
