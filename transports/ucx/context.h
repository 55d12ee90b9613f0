/* SPDX-License-Identifier: Apache-2.0 */
/* UCX's context and worker, set up as this transport needs them. */
#ifndef UCX_CONTEXT_H
#define UCX_CONTEXT_H

#include "transports/ucx/domain.h"

/* Fills in context and worker. 0, or -errno with a text; what was made is for ucx_context_close(). */
int ucx_context_open(struct ros2_domain *domain);
void ucx_context_close(struct ros2_domain *domain);
/* This thread is, or is no longer, within a call of UCX for a domain with that host: what UCX logs goes there. */
const struct ros2_host *ucx_context_log_to(const struct ros2_host *host);

#endif
