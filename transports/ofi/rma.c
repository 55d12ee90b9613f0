/* SPDX-License-Identifier: Apache-2.0 */
/* A put is a write of libfabric for each piece of the target, then its message on the same connection: the provider was
 * asked for FI_ORDER_SAW, so the message arrives behind the data. A get is a read for each piece of the source. The target's
 * bounds and rights are checked here too, by the key: a provider answers a wrong access by ending the connection.
 * Owner: the domain's thread. */
#include "config.h"

#include "transports/ofi/rma.h"

#include <errno.h>
#include <rdma/fi_rma.h>

#include "transports/ofi/endpoint.h"
#include "transports/ofi/message.h"
#include "transports/ofi/region.h"

#define GATHER_MAX 4 /* pieces of one transfer; fewer where the provider takes fewer */

struct transfer {
    struct ros2_ep *ep;
    struct ros2_op *op;
    bool write;
    int gather; /* pieces of local memory at a time */
    size_t max; /* bytes at a time */
    bool
        own_mr; /* local memory is not all in regions: what a transfer takes of it is registered for that alone */
};

/* -- checks -- */

static int check(struct ros2_ep *ep, const char *verb, const struct iovec *local, int local_count,
                 const struct ros2_remote *remote, int remote_count, uint32_t right,
                 const struct ros2_op *op)
{
    int64_t len = ofi_message_length(local, local_count, INT64_MAX);
    uint64_t left = (uint64_t)len;

    if (!op || len < 0 || remote_count < 0 || remote_count > ROS2_TRANSPORT_SEGMENTS_MAX)
        goto invalid;
    for (int i = 0; i < remote_count; i++) {
        const struct ros2_rkey *rkey = remote[i].rkey;
        if (!rkey || !(rkey->rights & right) || remote[i].offset > rkey->len ||
            remote[i].len > rkey->len - remote[i].offset || remote[i].len > left)
            goto invalid;
        left -= remote[i].len;
    }
    if (left == 0)
        return 0;
invalid:
    return ep->domain->host->fail(
        EINVAL,
        "%s: up to %d pieces a side, of equal length together, within the keys' bounds and "
        "rights, and an op",
        verb, ROS2_TRANSPORT_SEGMENTS_MAX);
}

/* -- cutting: both sides are streams of pieces -- */

struct cursor {
    const struct iovec *iov;
    size_t used; /* bytes of *iov */
};

/* The next at most len bytes of the stream, in at most gather pieces; returns how many bytes. */
static size_t cut(struct cursor *cursor, size_t len, int gather, struct iovec *piece, int *count_p)
{
    size_t have = 0;
    int count = 0;

    while (have < len && count < gather) {
        size_t part = cursor->iov->iov_len - cursor->used;
        if (part == 0) {
            cursor->iov++;
            cursor->used = 0;
            continue;
        }
        if (part > len - have)
            part = len - have;
        piece[count++] = (struct iovec){(uint8_t *)cursor->iov->iov_base + cursor->used, part};
        cursor->used += part;
        have += part;
    }
    *count_p = count;
    return have;
}

/* What libfabric wants to have with the pieces of local memory. */
static int describe(const struct transfer *t, const struct iovec *piece, int count,
                    struct ofi_work *work, void **desc)
{
    struct ros2_domain *domain = t->ep->domain;

    if (!domain->local_keys)
        return 0;
    for (int i = 0; i < count && !t->own_mr; i++)
        ofi_region_covers(domain, &piece[i], !t->write, &desc[i]);
    if (!t->own_mr)
        return 0;
    int rc = fi_mr_reg(domain->fi, piece->iov_base, piece->iov_len, t->write ? FI_WRITE : FI_READ,
                       0, 0, 0, &work->mr, NULL);
    if (rc == 0)
        desc[0] = fi_mr_desc(work->mr);
    return rc;
}

static ssize_t post(const struct transfer *t, const struct iovec *piece, int count,
                    const struct ros2_remote *remote, uint64_t offset, size_t len,
                    struct ofi_work *work)
{
    const struct ros2_rkey *rkey = remote->rkey;
    const struct fi_rma_iov target = {
        .addr = rkey->base + remote->offset + offset, .len = len, .key = rkey->key};
    void *desc[GATHER_MAX] = {0};
    const struct fi_msg_rma msg = {.msg_iov = piece,
                                   .desc = t->ep->domain->local_keys ? desc : NULL,
                                   .iov_count = (size_t)count,
                                   .rma_iov = &target,
                                   .rma_iov_count = 1,
                                   .context = work};
    int rc = describe(t, piece, count, work, desc);

    if (rc < 0)
        return rc;
    return t->write ? fi_writemsg(t->ep->fi, &msg, FI_COMPLETION)
                    : fi_readmsg(t->ep->fi, &msg, FI_COMPLETION);
}

/* Counts the transfers, or posts them. */
static unsigned walk(const struct transfer *t, const struct iovec *local,
                     const struct ros2_remote *remote, int remote_count, bool posts)
{
    struct cursor cursor = {local, 0};
    unsigned transfers = 0;

    for (int i = 0; i < remote_count; i++) {
        for (uint64_t done = 0, part; done < remote[i].len; done += part, transfers++) {
            struct iovec piece[GATHER_MAX];
            uint64_t left = remote[i].len - done;
            int count;
            part = cut(&cursor, left < t->max ? left : t->max, t->gather, piece, &count);
            if (!posts)
                continue;
            struct ofi_work *work = ofi_ep_take_work(t->ep, OFI_WORK_RMA, t->op);
            t->op->plugin[OFI_OP_PARTS]++;
            ssize_t rc = post(t, piece, count, &remote[i], done, part, work);
            t->ep->queue->posted += rc == 0;
            if (rc < 0) {
                /* There is room for all that we count: the connection has failed, or memory cannot be registered. Either ends
                 * the op. */
                ofi_ep_down(t->ep, rc == -EAGAIN ? -ENOBUFS : (int)rc);
                return transfers;
            }
        }
    }
    return transfers;
}

static struct transfer plan(struct ros2_ep *ep, struct ros2_op *op, bool write,
                            const struct iovec *local, int local_count)
{
    const struct ros2_domain *domain = ep->domain;
    const size_t limit = domain->info->tx_attr->iov_limit;
    struct transfer t = {
        .ep = ep,
        .op = op,
        .write = write,
        .gather = limit < 1            ? 1
                  : limit < GATHER_MAX ? (int)limit
                                       : GATHER_MAX,
        .max = domain->info->ep_attr->max_msg_size,
    };
    void *desc;

    for (int i = 0; domain->local_keys && i < local_count && !t.own_mr; i++)
        t.own_mr = local[i].iov_len > 0 && !ofi_region_covers(domain, &local[i], !write, &desc);
    /* Some devices scatter no read. */
    if (t.own_mr || (!write && domain->provider->rdma))
        t.gather = 1;
    return t;
}

/* -- the two verbs -- */

int ofi_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op)
{
    const struct iovec message = {(void *)(uintptr_t)msg, msg_len};

    ofi_domain_own(ep->domain);
    int rc = check(ep, "put", src, srccnt, dst, dstcnt, ROS2_REGION_REMOTE_WRITE, op);
    if (rc < 0)
        return rc;
    if (msg_len > ep->domain->max_message)
        return -EMSGSIZE;
    if (ep->state != OFI_EP_OPEN || !ep->usable || ep->down)
        return -ENOTCONN;
    const struct transfer t = plan(ep, op, true, src, srccnt);
    const unsigned transfers = walk(&t, src, dst, dstcnt, false);
    if (transfers > OFI_WORKS)
        return -EMSGSIZE;
    if (transfers > ep->free_count || (msg_len > 0 && ofi_message_room(ep, msg_len) < 0))
        return -EAGAIN;
    op->plugin[OFI_OP_STATUS] = 0;
    op->plugin[OFI_OP_PARTS] = 1; /* until all parts are counted */
    walk(&t, src, dst, dstcnt, true);
    /* Without memory for the message the peer would never hear of its data. */
    if (msg_len > 0 && !ep->down && ofi_message_push(ep, &message, 1, msg_len, op) < 0) {
        op->plugin[OFI_OP_STATUS] = (uint64_t)(int64_t)-ECONNRESET;
        ofi_ep_down(ep, -ENOMEM);
    }
    ofi_ep_part_done(ep, op, 0);
    return 0;
}

int ofi_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op)
{
    ofi_domain_own(ep->domain);
    int rc = check(ep, "get", dst, dstcnt, src, srccnt, ROS2_REGION_REMOTE_READ, op);
    if (rc < 0)
        return rc;
    if (ep->state != OFI_EP_OPEN || !ep->usable || ep->down)
        return -ENOTCONN;
    const struct transfer t = plan(ep, op, false, dst, dstcnt);
    const unsigned transfers = walk(&t, dst, src, srccnt, false);
    if (transfers > OFI_WORKS)
        return -EMSGSIZE;
    if (transfers > ep->free_count)
        return -EAGAIN;
    op->plugin[OFI_OP_STATUS] = 0;
    op->plugin[OFI_OP_PARTS] = 1;
    walk(&t, dst, src, srccnt, true);
    ofi_ep_part_done(ep, op, 0);
    return 0;
}
