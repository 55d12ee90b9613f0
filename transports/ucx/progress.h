/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of a domain. */
#ifndef UCX_PROGRESS_H
#define UCX_PROGRESS_H

#include "transports/ucx/domain.h"

int ucx_progress(struct ros2_domain *domain);

#endif
