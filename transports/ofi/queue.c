/* SPDX-License-Identifier: Apache-2.0 */
/* Owner: the domain's thread. Always: what the endpoints of a queue can have in flight together fits into it. */
#include "config.h"

#include "transports/ofi/queue.h"

#include <errno.h>

#include "transports/ofi/descriptors.h"
#include "transports/ofi/endpoint.h"

#define WORKS      (OFI_WORKS + OFI_WINDOW) /* completions that one endpoint may cause at a time */
#define FIRST_SIZE 1024u /* a client has few endpoints, and a device's queue is pinned memory */
#define LAST_SIZE  16384u

static int open_queue(struct ros2_domain *domain)
{
    struct fi_cq_attr attr = {
        .format = FI_CQ_FORMAT_MSG, .wait_obj = FI_WAIT_FD, .size = LAST_SIZE};
    struct ofi_queue *queue = &domain->queue[domain->queue_count];

    if (domain->provider->rdma && domain->queue_count < 4)
        attr.size = FIRST_SIZE << domain->queue_count;
    *queue = (struct ofi_queue){.capacity = domain->provider->rdma ? (unsigned)(attr.size / WORKS)
                                                                   : UINT32_MAX};
    int rc = fi_cq_open(domain->fi, &attr, &queue->cq, NULL);
    if (rc < 0)
        return ofi_domain_complain(domain, "completion queue", rc);
    ofi_descriptors_set_up(&queue->cq->fid);
    rc = ofi_domain_watch(domain, &queue->cq->fid);
    if (rc < 0) {
        fi_close(&queue->cq->fid);
        return rc;
    }
    domain->queue_count++;
    return 0;
}

int ofi_queues_open(struct ros2_domain *domain)
{
    return open_queue(domain);
}

void ofi_queues_close(struct ros2_domain *domain)
{
    while (domain->queue_count > 0)
        fi_close(&domain->queue[--domain->queue_count].cq->fid);
}

void ofi_queues_drop(struct ros2_domain *domain)
{
    for (unsigned i = 0; i < domain->queue_count; i++)
        ofi_descriptors_drop(&domain->queue[i].cq->fid);
}

int ofi_queue_take(struct ros2_domain *domain, struct ofi_queue **queue_p)
{
    unsigned i = 0;

    while (i < domain->queue_count &&
           (domain->queue[i].broken || domain->queue[i].used == domain->queue[i].capacity))
        i++;
    if (i == OFI_QUEUES_MAX)
        return domain->host->fail(
            ENOBUFS,
            "%s: connection: the %u completion queues of this thread are full; more data threads "
            "have more",
            domain->name, OFI_QUEUES_MAX);
    if (i == domain->queue_count) {
        int rc = open_queue(domain);
        if (rc < 0)
            return rc;
    }
    domain->queue[i].used++;
    *queue_p = &domain->queue[i];
    return 0;
}

void ofi_queue_give(struct ofi_queue *queue)
{
    queue->used--;
}

struct ofi_mark ofi_mark_now(const struct ofi_queue *queue)
{
    return queue ? (struct ofi_mark){queue, queue->drains, queue->posted} : (struct ofi_mark){0};
}

bool ofi_mark_passed(const struct ofi_mark *mark)
{
    return !mark->queue || mark->queue->broken || mark->queue->drains != mark->drains ||
           mark->queue->completed >= mark->posted;
}
