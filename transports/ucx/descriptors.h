/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors that UCX opens for a domain. */
#ifndef UCX_DESCRIPTORS_H
#define UCX_DESCRIPTORS_H

#include "transports/ucx/domain.h"

/* The process's epoll sets before a worker is made: a list of count, or NULL. */
int *ucx_descriptors_sets(unsigned *count_p);
/* Notes which epoll sets the worker has made since; worker_fd is the one that it is waited for by. */
void ucx_descriptors_find(struct ros2_domain *domain, int worker_fd, const int *before,
                          unsigned before_count);
/* A program that the process starts shall not inherit them. */
void ucx_descriptors_set_up(struct ros2_domain *domain);
/* In a forked child: closes its copies of the sets, and of the sockets in them. */
void ucx_descriptors_drop(struct ros2_domain *domain);

#endif
