/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes may use UCX. */
#ifndef UCX_PROCESS_H
#define UCX_PROCESS_H

#include "ros2/transport.h"

/* This process opens a domain. 0, or with a text -ENOTSUP: its parent had one open. */
int ucx_process_claim(const struct ros2_host *host);
/* As transport.h says of available, for any domain. */
int ucx_process_check(const struct ros2_host *host);

#endif
