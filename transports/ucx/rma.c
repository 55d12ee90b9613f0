/* SPDX-License-Identifier: Apache-2.0 */
/* Put and get. On a device they are UCX's own; UCX may spread one put over several connections, and promises no order between
 * it and an active message, so a flush stands between the data and the message of a put. Over tcp UCX's own would write to any
 * address that it is told, unchecked at the target: there each piece is an active message, whose receiver finds the region
 * before it lets UCX write. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/rma.h"

#include <errno.h>

#include "transports/ucx/context.h"
#include "transports/ucx/copy.h"
#include "transports/ucx/message.h"
#include "transports/ucx/region.h"
#include "transports/ucx/work.h"

/* One active message, which UCX puts together in memory of its own at the receiver; or one transfer of a device. */
#define MESSAGE_MAX  UCX_COPY_MAX
#define TRANSFER_MAX (1u << 30)

struct transfer {
    struct ros2_ep *ep;
    struct ros2_op *op;
    struct ucx_item *item; /* of a put */
    bool write;
};

/* -- checks -- */

static int check(struct ros2_ep *ep, const char *verb, const struct iovec *local, int local_count,
                 const struct ros2_remote *remote, int remote_count, uint32_t right,
                 const struct ros2_op *op)
{
    int64_t len = ucx_message_length(local, local_count, INT64_MAX);
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

/* -- one piece, which is contiguous at both ends -- */

static void put_piece(const struct transfer *t, const void *bytes, size_t len,
                      const struct ros2_remote *remote, uint64_t offset)
{
    struct ros2_rkey *rkey = remote->rkey;
    struct ucx_work *work = ucx_work_take(t->ep, UCX_WORK_PUT);

    if (!work) {
        ucx_ep_down(t->ep, -ENOMEM);
        return;
    }
    work->item = t->item;
    t->item->waits++;
    if (rkey->ucp) {
        work->rkey = rkey;
        rkey->users++;
        const ucp_request_param_t param =
            ucx_work_param(work, ucx_region_memory(t->ep->domain, bytes, len));
        ucx_work_started(work,
                         ucp_put_nbx(t->ep->ucp, bytes, len, rkey->base + remote->offset + offset,
                                     rkey->ucp, &param));
    } else {
        const struct ucx_header header = {.type = UCX_PUT,
                                          .to = t->ep->peer_number,
                                          .a = rkey->number,
                                          .b = remote->offset + offset};
        if (ucx_copy(work, bytes, len) == 0)
            ucx_work_send(work, &header, work->copy, len, UCP_AM_SEND_FLAG_EAGER);
        else
            ucx_work_end(work, UCS_ERR_NO_MEMORY);
    }
}

/* Asks the peer to send the piece. */
static void ask_for(const struct transfer *t, struct ucx_work *work, uint64_t number,
                    uint64_t offset)
{
    const struct ucx_header header = {.type = UCX_GET_FROM,
                                      .to = t->ep->peer_number,
                                      .a = number,
                                      .b = offset,
                                      .c = (uint32_t)work->len,
                                      .d = work->number};
    struct ucx_work *question = ucx_work_take(t->ep, UCX_WORK_MESSAGE);

    if (!question) {
        ucx_ep_down(t->ep, -ENOMEM);
        return;
    }
    ucx_work_send(question, &header, NULL, 0, UCP_AM_SEND_FLAG_EAGER);
}

static void get_piece(const struct transfer *t, void *bytes, size_t len,
                      const struct ros2_remote *remote, uint64_t offset)
{
    struct ros2_rkey *rkey = remote->rkey;
    struct ucx_work *work = ucx_work_take(t->ep, UCX_WORK_GET);

    if (!work) {
        ucx_ep_down(t->ep, -ENOMEM);
        return;
    }
    work->op = t->op;
    t->op->plugin[UCX_OP_PARTS]++;
    work->target = bytes;
    work->len = len;
    if (rkey->ucp) {
        work->rkey = rkey;
        rkey->users++;
        const ucp_request_param_t param =
            ucx_work_param(work, ucx_region_memory(t->ep->domain, bytes, len));
        ucx_work_started(work,
                         ucp_get_nbx(t->ep->ucp, bytes, len, rkey->base + remote->offset + offset,
                                     rkey->ucp, &param));
        return;
    }
    work->asked = true;
    if (ucx_table_add(&t->ep->domain->table, t->ep->domain->host, UCX_GET, work, &work->number) < 0)
        ucx_ep_down(t->ep, -ENOMEM); /* which ends the work, too */
    else
        ask_for(t, work, rkey->number, remote->offset + offset);
}

/* Counts the pieces, or starts them. Both sides are streams. */
static unsigned walk(const struct transfer *t, const struct iovec *local,
                     const struct ros2_remote *remote, int remote_count, bool starts)
{
    const uint64_t max = t->ep->domain->variant->rdma ? TRANSFER_MAX : MESSAGE_MAX;
    size_t used = 0; /* bytes of *local */
    unsigned pieces = 0;

    for (int i = 0; i < remote_count; i++) {
        for (uint64_t done = 0; done < remote[i].len;) {
            uint64_t part = remote[i].len - done;
            if (local->iov_len == used) {
                local++;
                used = 0;
                continue;
            }
            if (part > local->iov_len - used)
                part = local->iov_len - used;
            if (part > max)
                part = max;
            uint8_t *bytes = (uint8_t *)local->iov_base + used;
            if (starts && t->ep->down)
                return pieces;
            if (starts && t->write)
                put_piece(t, bytes, part, &remote[i], done);
            else if (starts)
                get_piece(t, bytes, part, &remote[i], done);
            used += part;
            done += part;
            pieces++;
        }
    }
    return pieces;
}

/* -- the two verbs -- */

/* Behind the data, before the message. */
static void flush_data(struct ros2_ep *ep, struct ucx_item *item)
{
    struct ucx_work *work = ucx_work_take(ep, UCX_WORK_PUT);

    if (!work) {
        ucx_ep_down(ep, -ENOMEM);
        return;
    }
    const ucp_request_param_t param = ucx_work_param(work, NULL);
    work->item = item;
    item->waits++;
    ucx_work_started(work, ucp_ep_flush_nbx(ep->ucp, &param));
}

int ucx_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op)
{
    const struct iovec message = {(void *)(uintptr_t)msg, msg_len};
    struct transfer t = {.ep = ep, .op = op, .write = true};

    ucx_domain_own(ep->domain);
    int rc = check(ep, "put", src, srccnt, dst, dstcnt, ROS2_REGION_REMOTE_WRITE, op);
    if (rc < 0)
        return rc;
    if (msg_len > ep->domain->max_message)
        return -EMSGSIZE;
    if (ep->state != UCX_EP_OPEN || !ep->usable || ep->down)
        return -ENOTCONN;
    const unsigned pieces = walk(&t, src, dst, dstcnt, false);
    if (pieces > UCX_WORKS)
        return -EMSGSIZE;
    if ((ep->work_count > 0 && pieces + ep->work_count > UCX_WORKS) ||
        (msg_len > 0 && ucx_message_room(ep, msg_len) < 0))
        return -EAGAIN;
    t.item =
        ucx_message_queue(ep, msg_len > 0 ? UCX_MESSAGE : UCX_NOTHING, &message, 1, msg_len, op, 1);
    if (!t.item)
        return -EAGAIN;
    op->plugin[UCX_OP_STATUS] = 0;
    op->plugin[UCX_OP_PARTS] = 1;
    const struct ros2_host *was = ucx_context_log_to(ep->domain->host);
    walk(&t, src, dst, dstcnt, true);
    if (pieces > 0 && ep->domain->variant->rdma && !ep->down)
        flush_data(ep, t.item);
    (void)ucx_context_log_to(was);
    ucx_message_part_done(ep, t.item, 0);
    return 0;
}

int ucx_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op)
{
    const struct transfer t = {.ep = ep, .op = op};

    ucx_domain_own(ep->domain);
    int rc = check(ep, "get", dst, dstcnt, src, srccnt, ROS2_REGION_REMOTE_READ, op);
    if (rc < 0)
        return rc;
    if (ep->state != UCX_EP_OPEN || !ep->usable || ep->down)
        return -ENOTCONN;
    const unsigned pieces = walk(&t, dst, src, srccnt, false);
    if (pieces > UCX_WORKS)
        return -EMSGSIZE;
    if (ep->work_count > 0 && pieces + ep->work_count > UCX_WORKS)
        return -EAGAIN;
    op->plugin[UCX_OP_STATUS] = 0;
    op->plugin[UCX_OP_PARTS] = 1;
    const struct ros2_host *was = ucx_context_log_to(ep->domain->host);
    walk(&t, dst, src, srccnt, true);
    (void)ucx_context_log_to(was);
    ucx_op_part_done(ep, op, 0);
    return 0;
}
