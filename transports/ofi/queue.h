/* SPDX-License-Identifier: Apache-2.0 */
/* The completion queues of a domain. A device's has a fixed size and fails for good when it overflows, so each takes only as
 * many endpoints as fit; the provider tcp has one that grows. */
#ifndef OFI_QUEUE_H
#define OFI_QUEUE_H

#include <rdma/fi_eq.h>
#include <stdbool.h>

#define OFI_QUEUES_MAX 32u

struct ros2_domain;

struct ofi_queue {
    struct fid_cq *cq;
    unsigned capacity, used; /* endpoints */
    bool broken;             /* it is read no more, and takes no more */
    /* Completions of an endpoint may still lie in cq when it is closed. None does once cq was seen empty since (drains), or
     * once as many were read (completed) as transfers had been posted before: a peer that keeps cq full holds up nobody. */
    uint64_t drains, posted, completed;
};

/* A place in the order of a queue's completions. */
struct ofi_mark {
    const struct ofi_queue *queue; /* NULL: nothing can come */
    uint64_t drains, posted;
};

/* All or none; errors have their text. */
int ofi_queues_open(struct ros2_domain *domain);
void ofi_queues_close(struct ros2_domain *domain);
/* In a forked child: closes its copies of descriptors. */
void ofi_queues_drop(struct ros2_domain *domain);

/* A place for one more endpoint. -ENOBUFS and others, with their text. */
int ofi_queue_take(struct ros2_domain *domain, struct ofi_queue **queue_p);
void ofi_queue_give(struct ofi_queue *queue);

/* The present place, and whether all completions before it were read. */
struct ofi_mark ofi_mark_now(const struct ofi_queue *queue);
bool ofi_mark_passed(const struct ofi_mark *mark);

#endif
