/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for transfers: arguments are checked, what cannot be done at once is queued. Owner: the domain's thread. Always:
 * transfers of one endpoint are done in the order in which they were asked for. */
#include "config.h"

#include "transports/shm/rma.h"

#include <errno.h>
#include <string.h>

#include "transports/shm/endpoint.h"

#define SEGMENTS_MAX ROS2_TRANSPORT_SEGMENTS_MAX
/* So much is copied by the call that asks for it; the rest by progress, so that no call takes long. */
#define AT_ONCE (256u << 10)

/* Room for a transfer of the user's: 0, -EAGAIN, -EMSGSIZE, -ENOTCONN. */
static int room(struct ros2_ep *ep, size_t item_size)
{
    size_t used = shm_queue_used(&ep->queue);

    if ((ep->state > SHM_EP_OPEN) || !ep->usable || ep->error)
        return -ENOTCONN;
    if (item_size > ep->domain->send_queue)
        return -EMSGSIZE;
    return used > 0 && used + item_size > ep->domain->send_queue ? -EAGAIN : 0;
}

static void queued(struct ros2_ep *ep, bool push)
{
    if (shm_list_empty(&ep->output_link))
        shm_list_append(&ep->domain->output, &ep->output_link);
    if (push && !ep->blocked)
        shm_rma_pump(ep, AT_ONCE);
}

/* -- messages -- */

/* Straight into the ring, which is the way of nearly every message. false: it has to wait. */
static bool send_at_once(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, size_t len)
{
    const struct shm_record record = {
        .len = (uint32_t)len, .type = SHM_MESSAGE, .total = (uint64_t)len};

    if (ep->queue.head != ep->queue.tail || ep->state != SHM_EP_OPEN || len > SHM_RECORD_MAX)
        return false;
    int64_t free_bytes = shm_ring_room(ep->ring, shm_ring_need(record.len));
    if (free_bytes < (int64_t)shm_ring_need(record.len))
        return false; /* an index that is none is found by the pump */
    shm_ring_put(ep->ring, &record, iov, iovcnt, 0);
    if (shm_ring_publish(ep->ring))
        shm_ep_wake(ep);
    return true;
}

int shm_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op)
{
    struct shm_item *item;
    size_t len = 0;

    shm_domain_own(ep->domain);
    if (iovcnt < 0 || iovcnt > SEGMENTS_MAX)
        return ep->domain->host->fail(EINVAL, "send: up to %d pieces", SEGMENTS_MAX);
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > ep->domain->max_message - len)
            return -EMSGSIZE;
        len += iov[i].iov_len;
    }
    size_t copied = op ? 0 : len;
    int pieces = op ? iovcnt : 0;
    int rc = room(ep, shm_item_size(0, pieces, copied));
    if (rc < 0)
        return rc;
    if (send_at_once(ep, iov, iovcnt, len)) {
        if (op)
            shm_ep_done(ep, op, 0);
        return 0;
    }
    rc = shm_queue_append(&ep->queue, SHM_ITEM_MESSAGE, 0, pieces, copied, &item);
    if (rc < 0)
        return -EAGAIN; /* no memory for a longer queue: what is in it has to leave first */
    uint8_t *bytes = shm_item_bytes(item);
    for (int i = 0; i < iovcnt; i++) {
        if (op) {
            shm_item_iov(item)[i] = iov[i];
        } else if (iov[i].iov_len > 0) {
            memcpy(bytes, iov[i].iov_base, iov[i].iov_len);
            bytes += iov[i].iov_len;
        }
    }
    item->op = op;
    item->message_len = len;
    queued(ep, true);
    return 0;
}

/* -- puts and gets -- */

static int local_len(const struct iovec *iov, int count, uint64_t *len_p)
{
    uint64_t len = 0;

    if (count < 0 || count > SEGMENTS_MAX)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        if (len + iov[i].iov_len < len)
            return -EINVAL;
        len += iov[i].iov_len;
    }
    *len_p = len;
    return 0;
}

/* Checks what needs no look at the peer: the key's bounds and rights, and that the lengths add up to len. */
static int check_remote(const struct ros2_remote *remote, int count, uint32_t right, uint64_t len)
{
    if (count < 0 || count > SEGMENTS_MAX)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        const struct ros2_rkey *rkey = remote[i].rkey;
        if (rkey && (!(rkey->rights & right) || remote[i].offset > rkey->len ||
                     remote[i].len > rkey->len - remote[i].offset))
            return -EINVAL;
        if (remote[i].len > len)
            return -EINVAL;
        len -= remote[i].len;
    }
    return len == 0 ? 0 : -EINVAL;
}

static int transfer(struct ros2_ep *ep, enum shm_item_kind kind, const struct iovec *iov,
                    int iovcnt, const struct ros2_remote *remote, int count,
                    const struct iovec *message, struct ros2_op *op)
{
    struct shm_item *item;
    int rc = room(ep, shm_item_size(count, iovcnt, 0));

    if (rc < 0)
        return rc;
    rc = shm_queue_append(&ep->queue, kind, count, iovcnt, 0, &item);
    if (rc < 0)
        return -EAGAIN; /* no memory for a longer queue: what is in it has to leave first */
    for (int i = 0; i < count; i++)
        shm_item_names(item)[i] = (struct shm_name){
            .token = remote[i].rkey ? remote[i].rkey->token : remote[i].token,
            .offset = remote[i].offset,
            .len = remote[i].len,
        };
    for (int i = 0; i < iovcnt; i++)
        shm_item_iov(item)[i] = iov[i];
    item->op = op;
    item->message = message->iov_base;
    item->message_len = message->iov_len;
    queued(ep, true);
    return 0;
}

static int invalid(struct ros2_ep *ep, const char *verb)
{
    return ep->domain->host->fail(
        EINVAL,
        "%s: up to %d pieces a side, of equal length together, within the keys' bounds and "
        "rights, and an op",
        verb, SEGMENTS_MAX);
}

int shm_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op)
{
    const struct iovec message = {(void *)(uintptr_t)msg, msg_len};
    uint64_t len;

    shm_domain_own(ep->domain);
    if (!op || local_len(src, srccnt, &len) < 0 ||
        check_remote(dst, dstcnt, ROS2_REGION_REMOTE_WRITE, len) < 0)
        return invalid(ep, "put");
    if (msg_len > ep->domain->max_message)
        return -EMSGSIZE;
    return transfer(ep, SHM_ITEM_PUT, src, srccnt, dst, dstcnt, &message, op);
}

int shm_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op)
{
    const struct iovec none = {NULL, 0};
    uint64_t len;

    shm_domain_own(ep->domain);
    if (!op || local_len(dst, dstcnt, &len) < 0 ||
        check_remote(src, srccnt, ROS2_REGION_REMOTE_READ, len) < 0)
        return invalid(ep, "get");
    return transfer(ep, SHM_ITEM_GET, dst, dstcnt, src, srccnt, &none, op);
}

void shm_flush(struct ros2_ep *ep)
{
    shm_domain_own(ep->domain);
    if (ep->state == SHM_EP_OPEN)
        shm_rma_pump(ep, SIZE_MAX);
}
