/* SPDX-License-Identifier: Apache-2.0 */
/* A connection over tcp outlives its user (linger.c), and UCX cannot be told to give back one request. So it never gets memory of a
 * user: a put or get can be ended, and a region deregistered, at once. UCX copies once more, into its segments, with or
 * without us. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fresh memory of that size costs more than the copy, so some is kept; small copies are the allocator's. */
#define POOLED_MIN (64u << 10)
#define POOL_MAX   16u

int ucx_copy(struct ucx_work *work, const void *bytes, size_t len)
{
    struct ros2_domain *domain = work->ep->domain;

    if (len >= POOLED_MIN && domain->free_copies) {
        work->copy = domain->free_copies;
        memcpy(&domain->free_copies, work->copy, sizeof domain->free_copies);
        domain->free_copy_count--;
    } else {
        work->copy = malloc(len >= POOLED_MIN ? UCX_COPY_MAX : len + 1);
    }
    if (!work->copy)
        return -ENOMEM;
    work->copy_len = len;
    if (len > 0)
        memcpy(work->copy, bytes, len);
    return 0;
}

void ucx_copy_free(struct ros2_domain *domain, void *copy, size_t len)
{
    if (len < POOLED_MIN || domain->free_copy_count >= POOL_MAX) {
        free(copy);
        return;
    }
    memcpy(copy, &domain->free_copies, sizeof domain->free_copies);
    domain->free_copies = copy;
    domain->free_copy_count++;
}

void ucx_copies_free(struct ros2_domain *domain)
{
    while (domain->free_copies) {
        void *copy = domain->free_copies;
        memcpy(&domain->free_copies, copy, sizeof domain->free_copies);
        free(copy);
    }
}
