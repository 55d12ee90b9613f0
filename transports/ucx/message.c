/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are active messages, sent eagerly: UCX keeps their order within an endpoint, as long as none takes the way of a
 * rendezvous. A message waits until those before it have been given to UCX, and the message of a put until its data has
 * been sent on the same connection, or on a device has landed, so the order is that of the calls. Each is a copy: UCX may need the bytes after the call, and the interface gives them
 * back at its end. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ucx/work.h"

/* Above this an item's bytes are not kept for the next one. */
#define KEEP_BYTES 8192u

/* -- what a call may send -- */

int64_t ucx_message_length(const struct iovec *iov, int iovcnt, size_t max)
{
    size_t len = 0;

    if (iovcnt < 0 || iovcnt > ROS2_TRANSPORT_SEGMENTS_MAX)
        return -EINVAL;
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > max - len)
            return -EMSGSIZE;
        len += iov[i].iov_len;
    }
    return (int64_t)len;
}

int ucx_message_room(const struct ros2_ep *ep, size_t len)
{
    return ep->queued == 0 || ep->queued + len <= ep->domain->send_queue ? 0 : -EAGAIN;
}

/* -- items -- */

static struct ucx_item *take_item(struct ros2_domain *domain, size_t len)
{
    struct ucx_item *item = domain->free_items;

    if (item)
        domain->free_items = item->next;
    else
        item = calloc(1, sizeof *item);
    if (item && len > item->cap) {
        free(item->bytes);
        item->cap = len < KEEP_BYTES ? KEEP_BYTES : len;
        item->bytes = malloc(item->cap);
        if (!item->bytes) {
            free(item);
            item = NULL;
        }
    }
    return item;
}

static void give_item(struct ros2_domain *domain, struct ucx_item *item)
{
    if (item->cap > KEEP_BYTES) {
        free(item->bytes);
        item->bytes = NULL;
        item->cap = 0;
    }
    item->next = domain->free_items;
    domain->free_items = item;
}

void ucx_messages_free(struct ros2_domain *domain)
{
    while (domain->free_items) {
        struct ucx_item *item = domain->free_items;
        domain->free_items = item->next;
        free(item->bytes);
        free(item);
    }
}

/* -- out -- */

struct ucx_item *ucx_message_queue(struct ros2_ep *ep, enum ucx_message_type type,
                                   const struct iovec *iov, int iovcnt, size_t len,
                                   struct ros2_op *op, unsigned waits)
{
    struct ucx_item *item = take_item(ep->domain, len);

    if (!item)
        return NULL;
    item->op = op;
    item->waits = waits;
    item->type = type;
    item->len = 0;
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > 0)
            memcpy(item->bytes + item->len, iov[i].iov_base, iov[i].iov_len);
        item->len += iov[i].iov_len;
    }
    ep->queued += item->len;
    TAILQ_INSERT_TAIL(&ep->outbox, item, link);
    return item;
}

void ucx_message_left(struct ros2_ep *ep, struct ucx_item *item, int status)
{
    if (!item)
        return;
    ep->queued -= item->len;
    ucx_op_part_done(ep, item->op, status);
    give_item(ep->domain, item);
}

static void send_item(struct ros2_ep *ep, struct ucx_item *item)
{
    const struct ucx_header header = {.type = (uint8_t)item->type, .to = ep->peer_number};
    struct ucx_work *work = ucx_work_take(ep, UCX_WORK_MESSAGE);

    if (!work) {
        ucx_message_left(ep, item, -ECONNRESET);
        ucx_ep_failed(ep, UCS_ERR_NO_MEMORY);
        return;
    }
    work->item = item;
    ucx_work_send(work, &header, item->bytes, item->len, UCP_AM_SEND_FLAG_EAGER);
}

void ucx_message_pump(struct ros2_ep *ep)
{
    struct ucx_item *item;

    while ((item = TAILQ_FIRST(&ep->outbox)) != NULL && item->waits == 0 && !ep->down && ep->ucp) {
        TAILQ_REMOVE(&ep->outbox, item, link);
        if (item->type != UCX_NOTHING)
            send_item(ep, item);
        else
            ucx_message_left(ep, item, 0);
    }
    if (ep->state == UCX_EP_LINGERING && !ep->bye && !ep->down && ep->settled && ep->ucp &&
        TAILQ_EMPTY(&ep->outbox)) {
        ep->bye = true;
        if (ucx_message_queue(ep, UCX_BYE, NULL, 0, 0, NULL, 0))
            ucx_message_pump(ep);
        else
            ucx_ep_failed(ep, UCS_ERR_NO_MEMORY);
    }
}

void ucx_message_part_done(struct ros2_ep *ep, struct ucx_item *item, int status)
{
    if (!item)
        return;
    if (status < 0 && item->op && item->op->plugin[UCX_OP_STATUS] == 0)
        item->op->plugin[UCX_OP_STATUS] = (uint64_t)(int64_t)status;
    if (--item->waits == 0)
        ucx_message_pump(ep);
}

void ucx_message_greet(struct ros2_ep *ep, enum ucx_message_type type)
{
    const struct ucx_header header = {.type = (uint8_t)type,
                                      .to = ep->peer_number,
                                      .a = ep->number,
                                      .b = (uint64_t)UCX_WIRE_VERSION << 32 | UCX_WIRE_MAGIC};
    struct ucx_work *work = ucx_work_take(ep, UCX_WORK_MESSAGE);

    if (!work) {
        ucx_ep_down(ep, -ENOMEM);
        return;
    }
    /* Of a device the receiver knows the sender by his endpoint of UCX. */
    const uint32_t reply = ep->domain->variant->rdma ? UCP_AM_SEND_FLAG_REPLY : 0;
    ucx_work_send(work, &header, NULL, 0, UCP_AM_SEND_FLAG_EAGER | reply);
}

void ucx_message_answer(struct ros2_ep *ep)
{
    const struct ucx_header header = {.type = UCX_HEARD, .to = ep->peer_number};
    struct ucx_work *work = ucx_work_take(ep, UCX_WORK_MESSAGE);

    if (work)
        ucx_work_send(work, &header, NULL, 0, UCP_AM_SEND_FLAG_EAGER);
    else
        ucx_ep_failed(ep, UCS_ERR_NO_MEMORY);
}

int ucx_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op)
{
    ucx_domain_own(ep->domain);
    int64_t len = ucx_message_length(iov, iovcnt, ep->domain->max_message);
    if (len < 0)
        return (int)len;
    if (ep->state != UCX_EP_OPEN || !ep->usable || ep->down)
        return -ENOTCONN;
    int rc = ucx_message_room(ep, (size_t)len);
    if (rc < 0)
        return rc;
    if (op) {
        op->plugin[UCX_OP_STATUS] = 0;
        op->plugin[UCX_OP_PARTS] = 1;
    }
    if (!ucx_message_queue(ep, UCX_MESSAGE, iov, iovcnt, (size_t)len, op, 0))
        return -EAGAIN;
    ucx_message_pump(ep);
    return 0;
}

void ucx_flush(struct ros2_ep *ep)
{
    ucx_domain_own(ep->domain);
    ucx_message_pump(ep);
}

/* -- ending -- */

void ucx_message_release_ops(struct ros2_ep *ep)
{
    struct ucx_item *item;
    struct ucx_work *work;

    TAILQ_FOREACH(item, &ep->outbox, link)
    {
        ucx_op_part_done(ep, item->op, 0);
        item->op = NULL;
    }
    LIST_FOREACH(work, &ep->works, link)
    {
        if (work->kind != UCX_WORK_MESSAGE || !work->item)
            continue;
        ucx_op_part_done(ep, work->item->op, 0);
        work->item->op = NULL;
    }
}

void ucx_message_cancel(struct ros2_ep *ep, int status)
{
    struct ucx_item *item;

    while ((item = TAILQ_FIRST(&ep->outbox)) != NULL) {
        TAILQ_REMOVE(&ep->outbox, item, link);
        ucx_message_left(ep, item, status);
    }
}
