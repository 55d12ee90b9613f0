/* SPDX-License-Identifier: Apache-2.0 */
/* What UCX sends over tcp is copied first. */
#ifndef UCX_COPY_H
#define UCX_COPY_H

#include "transports/ucx/endpoint.h"

#define UCX_COPY_MAX (1u << 20)

/* Gives work a copy of up to UCX_COPY_MAX bytes, which ends with it. 0 or -ENOMEM. */
int ucx_copy(struct ucx_work *work, const void *bytes, size_t len);
void ucx_copy_free(struct ros2_domain *domain, void *copy, size_t len);
void ucx_copies_free(struct ros2_domain *domain);

#endif
