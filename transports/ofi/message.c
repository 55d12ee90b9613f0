/* SPDX-License-Identifier: Apache-2.0 */
/* A message is cut into fragments that fit the receives which the peer has posted; each costs a credit, and credits come
 * back with whatever the peer sends next, or in a fragment of their own when many are owed. The last credit is only for such
 * ones, so that two ends that have both run out still tell each other. What cannot leave waits in the backlog as a copy.
 * Owner: the domain's thread. Always: the peer has a receive posted for each fragment that is sent. */
#include "config.h"

#include "transports/ofi/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ofi/linger.h"

/* -- what a call may send -- */

int64_t ofi_message_length(const struct iovec *iov, int iovcnt, size_t max)
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

int ofi_message_room(const struct ros2_ep *ep, size_t len)
{
    return ofi_backlog_fits(&ep->backlog, ep->domain->send_queue, len) ? 0 : -EAGAIN;
}

/* -- out -- */

static bool can_send(const struct ros2_ep *ep, unsigned spare)
{
    return ep->credits > spare && ep->out_count > 0 && ep->free_count > 0 && !ep->down;
}

/* One fragment; its payload is in the buffer. */
static void post(struct ros2_ep *ep, uint8_t *buffer, struct ofi_header header, size_t payload,
                 struct ros2_op *op)
{
    struct ofi_work *work = ofi_ep_take_work(ep, OFI_WORK_FRAGMENT, op);

    work->buffer = buffer;
    header.credits = (uint16_t)ep->owed;
    ofi_header_encode(&header, buffer);
    ssize_t rc = fi_send(ep->fi, buffer, OFI_HEADER + payload, ofi_ep_desc(ep), 0, work);
    if (rc < 0) {
        /* There is room for all that we count: the connection has failed. */
        ofi_ep_down(ep, rc == -EAGAIN ? -ENOBUFS : (int)rc);
        ofi_ep_give_work(ep, work);
        ofi_ep_part_done(ep, op, -ECONNRESET);
        return;
    }
    ep->granted += ep->owed;
    ep->owed = 0;
    ep->credits--;
    ep->queue->posted++;
}

static uint8_t *take_buffer(struct ros2_ep *ep)
{
    return ep->out[--ep->out_count];
}

static void post_bare(struct ros2_ep *ep, enum ofi_fragment_type type)
{
    post(ep, take_buffer(ep), (struct ofi_header){.type = (uint8_t)type}, 0, NULL);
}

/* The next fragment of the oldest message that waits. */
static void post_waiting(struct ros2_ep *ep)
{
    const struct ofi_waiting waiting = ofi_backlog_first(&ep->backlog);
    const uint32_t part = waiting.len < OFI_PAYLOAD ? waiting.len : OFI_PAYLOAD;
    const bool last = part == waiting.len;
    uint8_t *buffer = take_buffer(ep);

    memcpy(buffer + OFI_HEADER, waiting.bytes, part);
    ofi_backlog_sent(&ep->backlog, part, last);
    post(ep, buffer, (struct ofi_header){.type = OFI_MESSAGE, .left = waiting.len}, part,
         last ? waiting.op : NULL);
}

void ofi_message_pump(struct ros2_ep *ep)
{
    if (ep->state != OFI_EP_OPEN && ep->state != OFI_EP_LINGERING)
        return;
    while (!ofi_backlog_empty(&ep->backlog) && can_send(ep, 1))
        post_waiting(ep);
    if (ep->state == OFI_EP_LINGERING && !ep->bye && ofi_backlog_empty(&ep->backlog) &&
        can_send(ep, 0)) {
        post_bare(ep, OFI_BYE);
        ep->bye = true;
    }
    if (ep->owed >= OFI_WINDOW / 2 && can_send(ep, 0))
        post_bare(ep, OFI_CREDIT);
}

int ofi_message_push(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, size_t len,
                     struct ros2_op *op)
{
    if (op)
        op->plugin[OFI_OP_PARTS]++;
    if (len <= OFI_PAYLOAD && ofi_backlog_empty(&ep->backlog) && can_send(ep, 1)) {
        uint8_t *buffer = take_buffer(ep), *at = buffer + OFI_HEADER;
        for (int i = 0; i < iovcnt; i++) {
            if (iov[i].iov_len > 0)
                memcpy(at, iov[i].iov_base, iov[i].iov_len);
            at += iov[i].iov_len;
        }
        post(ep, buffer, (struct ofi_header){.type = OFI_MESSAGE, .left = (uint32_t)len}, len, op);
        return 0;
    }
    if (ofi_backlog_add(&ep->backlog, iov, iovcnt, len, op) < 0) {
        if (op)
            op->plugin[OFI_OP_PARTS]--;
        return -EAGAIN;
    }
    ofi_message_pump(ep);
    return 0;
}

int ofi_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op)
{
    ofi_domain_own(ep->domain);
    int64_t len = ofi_message_length(iov, iovcnt, ep->domain->max_message);
    if (len < 0)
        return (int)len;
    if (ep->state != OFI_EP_OPEN || !ep->usable || ep->down)
        return -ENOTCONN;
    int rc = ofi_message_room(ep, (size_t)len);
    if (rc < 0)
        return rc;
    if (op)
        op->plugin[OFI_OP_STATUS] = op->plugin[OFI_OP_PARTS] = 0;
    return ofi_message_push(ep, iov, iovcnt, (size_t)len, op);
}

void ofi_flush(struct ros2_ep *ep)
{
    ofi_domain_own(ep->domain);
    ofi_message_pump(ep);
}

void ofi_message_release_ops(struct ros2_ep *ep)
{
    for (unsigned i = 0; i < OFI_WORKS; i++) {
        struct ros2_op *op = ep->work[i].op;
        ep->work[i].op = NULL;
        ofi_ep_part_done(ep, op, 0);
    }
    for (struct ros2_op *op; (op = ofi_backlog_take_op(&ep->backlog)) != NULL;)
        ofi_ep_part_done(ep, op, 0);
}

/* -- in -- */

int ofi_message_receive(struct ros2_ep *ep, struct ofi_work *work)
{
    ssize_t rc = fi_recv(ep->fi, work->buffer, OFI_FRAGMENT, ofi_ep_desc(ep), 0, work);

    ep->queue->posted += rc == 0;
    return (int)rc;
}

static void broke(struct ros2_ep *ep, const char *how)
{
    ofi_ep_fail(ep, EPROTO, how);
    ofi_ep_die(ep, -EPROTO);
}

static void deliver(struct ros2_ep *ep, const uint8_t *bytes, size_t len)
{
    if (ep->state == OFI_EP_OPEN && ep->handler.message)
        ep->handler.message(ep->arg, ep, bytes, len);
}

/* A part of a message in several. Returns how it breaks the protocol, or NULL. */
static const char *add_part(struct ros2_ep *ep, const struct ofi_header *header,
                            const uint8_t *payload, size_t len)
{
    if (ep->want == 0) {
        if (header->left > ep->domain->max_message)
            return "it sent a message that is longer than agreed";
        if (!ep->parts)
            ep->parts = malloc(ep->domain->max_message);
        if (!ep->parts)
            return "no memory for its message";
        ep->want = header->left;
        ep->have = 0;
    }
    if (header->left != ep->want - ep->have)
        return "it sent parts of a message that do not fit one another";
    memcpy(ep->parts + ep->have, payload, len);
    ep->have += (uint32_t)len;
    return NULL;
}

static void message_part(struct ros2_ep *ep, const struct ofi_header *header,
                         const uint8_t *payload, size_t len)
{
    if (len > header->left || (len < header->left && len != OFI_PAYLOAD)) {
        broke(ep, "it sent a fragment of a wrong length");
        return;
    }
    if (ep->want == 0 && len == header->left) {
        if (len > ep->domain->max_message)
            broke(ep, "it sent a message that is longer than agreed");
        else
            deliver(ep, payload, len);
        return;
    }
    const char *wrong = add_part(ep, header, payload, len);
    if (wrong) {
        broke(ep, wrong);
        return;
    }
    if (ep->have < ep->want)
        return;
    len = ep->want;
    ep->want = 0;
    deliver(ep, ep->parts, len);
}

static void fragment(struct ros2_ep *ep, const uint8_t *bytes, size_t len)
{
    struct ofi_header header;

    if (len < OFI_HEADER) {
        broke(ep, "it sent a fragment without a header");
        return;
    }
    if (ep->granted == 0) {
        broke(ep, "it sent more than it has credits for");
        return;
    }
    ep->granted--;
    header = ofi_header_decode(bytes);
    if (header.credits > ep->window - ep->credits) {
        broke(ep, "it gave more credits than it has");
        return;
    }
    ep->credits += header.credits;
    if (header.type == OFI_MESSAGE)
        message_part(ep, &header, bytes + OFI_HEADER, len - OFI_HEADER);
    else if (header.type == OFI_BYE && len == OFI_HEADER)
        ofi_ep_die(ep, -EPIPE);
    else if (header.type != OFI_CREDIT || len != OFI_HEADER)
        broke(ep, "it sent a fragment of an unknown kind");
}

void ofi_message_arrived(struct ros2_ep *ep, struct ofi_work *work, size_t len)
{
    if (len > OFI_FRAGMENT) /* not ours to believe: the buffer ends there */
        len = 0;
    if (ep->state == OFI_EP_LINGERING) {
        struct ofi_header header = {.type = OFI_BYE};
        if (len >= OFI_HEADER)
            header = ofi_header_decode(work->buffer);
        if (header.type == OFI_BYE || ep->granted == 0 ||
            header.credits > ep->window - ep->credits) {
            ofi_linger_end(ep);
            return;
        }
        ep->granted--;
        ep->credits += header.credits;
    } else {
        fragment(ep, work->buffer, len);
    }
    if ((ep->state != OFI_EP_OPEN && ep->state != OFI_EP_LINGERING) || ep->down)
        return;
    int rc = ofi_message_receive(ep, work);
    if (rc < 0) {
        ofi_ep_down(ep, rc);
        return;
    }
    ep->owed++;
    ofi_message_pump(ep);
}
