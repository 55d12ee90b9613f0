/* SPDX-License-Identifier: Apache-2.0 */
/* Doing transfers: copying between own memory and the peer's, and messages into the ring. Owner: the domain's thread.
 *
 * Order: a put's data is copied, its pins come down, and only then is its message written and the ring's tail stored (with
 * release, ring.c): a peer that sees the message sees all the data, and no pin that keeps it from deregistering. Always: only
 * the head of the queue is begun; what it touches of the peer is pinned. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "transports/shm/endpoint.h"
#include "transports/shm/rma.h"

#define RETRY_NS 1000000ull
/* Smaller fragments of a long message than this wait for more room. */
#define FRAGMENT_MIN 4096u

enum outcome { DONE, BLOCKED, OUT_OF_BUDGET };

/* -- messages -- */

static enum outcome block(struct ros2_ep *ep)
{
    ep->blocked = true;
    return BLOCKED;
}

/* Writes as much of a message as there is room for; *sent_p counts. */
static enum outcome write_message(struct ros2_ep *ep, const struct iovec *iov, int iovcnt,
                                  uint64_t total, uint64_t *sent_p)
{
    const bool whole = total <= SHM_RECORD_MAX;

    do {
        uint64_t left = total - *sent_p;
        uint64_t least = whole || left < FRAGMENT_MIN ? left : FRAGMENT_MIN;
        int64_t room =
            shm_ring_room(ep->ring, whole ? shm_ring_need((uint32_t)least) : SHM_RING_BYTES);
        if (room < 0) {
            shm_ep_doom(ep, shm_ep_fail(ep, EPROTO, "it broke the ring"));
            return block(ep);
        }
        if (room < (int64_t)shm_ring_need((uint32_t)least))
            return block(ep);
        uint64_t most = (uint64_t)room - sizeof(struct shm_record);
        if (most > SHM_RECORD_MAX)
            most = SHM_RECORD_MAX;
        const struct shm_record record = {
            .len = (uint32_t)(left < most ? left : most),
            .type = whole ? SHM_MESSAGE : SHM_FRAGMENT,
            .total = total,
        };
        shm_ring_put(ep->ring, &record, iov, iovcnt, *sent_p);
        ep->put_out = true;
        *sent_p += record.len;
    } while (*sent_p < total);
    return DONE;
}

/* A record without a message. */
static enum outcome write_mark(struct ros2_ep *ep, enum shm_record_type type)
{
    const struct shm_record record = {.type = type};

    if (shm_ring_room(ep->ring, sizeof record) < (int64_t)sizeof record)
        return block(ep);
    shm_ring_put(ep->ring, &record, NULL, 0, 0);
    ep->put_out = true;
    return DONE;
}

static enum outcome do_message(struct ros2_ep *ep, struct shm_item *item)
{
    const struct iovec copied = {shm_item_bytes(item), item->byte_count};

    return item->op || item->iov_count
               ? write_message(ep, shm_item_iov(item), item->iov_count, item->message_len,
                               &item->message_sent)
               : write_message(ep, &copied, 1, item->message_len, &item->message_sent);
}

/* -- puts and gets -- */

void shm_rma_release(struct ros2_ep *ep, struct shm_item *item)
{
    for (int i = 0; item->resolved && i < item->piece_count; i++)
        shm_peer_release(ep, &shm_item_pieces(item)[i]);
    item->resolved = false;
}

/* Names become pinned pieces, all or none. A put's piece whose region is gone gets no memory: its bytes are dropped, as its
 * owner has taken it away while this put could not know. */
static int resolve(struct ros2_ep *ep, struct shm_item *item)
{
    const bool put = item->kind == SHM_ITEM_PUT;
    const unsigned right = put ? ROS2_REGION_REMOTE_WRITE : ROS2_REGION_REMOTE_READ;
    struct shm_piece pinned[ROS2_TRANSPORT_SEGMENTS_MAX];

    for (int i = 0; i < item->piece_count; i++) {
        const struct shm_name name = shm_item_names(item)[i];
        const struct ros2_remote remote = {.offset = name.offset, .len = name.len};
        int rc = shm_peer_resolve(ep, name.token, &remote, right, &pinned[i]);
        if (rc == -ESTALE && put) {
            pinned[i] = (struct shm_piece){.len = name.len};
        } else if (rc < 0) {
            while (i-- > 0)
                shm_peer_release(ep, &pinned[i]);
            return rc == -ESTALE ? -EACCES : rc;
        }
    }
    if (item->piece_count > 0)
        memcpy(shm_item_pieces(item), pinned, item->piece_count * sizeof pinned[0]);
    item->resolved = true;
    return 0;
}

/* Copies up to *budget_p bytes. true: all is copied. */
static bool copy(struct shm_item *item, size_t *budget_p)
{
    const struct iovec *iov = shm_item_iov(item);
    const struct shm_piece *piece = shm_item_pieces(item);

    while (item->iov < item->iov_count && item->piece < item->piece_count) {
        const struct iovec *i = &iov[item->iov];
        const struct shm_piece *p = &piece[item->piece];
        uint64_t len = i->iov_len - item->iov_at;
        if (len > p->len - item->piece_at)
            len = p->len - item->piece_at;
        if (len > *budget_p)
            len = *budget_p;
        uint8_t *local = (uint8_t *)i->iov_base + item->iov_at;
        if (p->map && len > 0 && item->kind == SHM_ITEM_PUT)
            memcpy(p->addr + item->piece_at, local, len);
        else if (p->map && len > 0)
            memcpy(local, p->addr + item->piece_at, len);
        *budget_p -= len;
        item->iov_at += len;
        item->piece_at += len;
        bool end = false;
        if (item->iov_at == i->iov_len) {
            item->iov++;
            item->iov_at = 0;
            end = true;
        }
        if (item->piece_at == p->len) {
            item->piece++;
            item->piece_at = 0;
            end = true;
        }
        if (!end)
            return false;
    }
    return true;
}

/* Moves the data. Negative: what is wrong with the names; nothing was moved. */
static int move(struct ros2_ep *ep, struct shm_item *item, size_t *budget_p)
{
    if (!item->resolved) {
        int rc = resolve(ep, item);
        if (rc == -EAGAIN) {
            /* No wake-up tells when that is over. */
            shm_domain_wake_at(ep->domain, ep->domain->host->now_ns() + RETRY_NS);
            return block(ep);
        }
        if (rc < 0)
            return rc;
    }
    if (!copy(item, budget_p))
        return OUT_OF_BUDGET;
    shm_rma_release(ep, item);
    item->moved = true;
    return DONE;
}

static enum outcome do_put(struct ros2_ep *ep, struct shm_item *item, size_t *budget_p,
                           int *status_p)
{
    const struct iovec message = {(void *)(uintptr_t)item->message, item->message_len};

    if (!item->moved) {
        int rc = move(ep, item, budget_p);
        if (rc < 0) {
            *status_p = -EPROTO;
            return write_mark(ep, SHM_BREACH);
        }
        if (rc != DONE)
            return (enum outcome)rc;
    }
    return item->message_len == 0
               ? DONE
               : write_message(ep, &message, 1, item->message_len, &item->message_sent);
}

static enum outcome do_get(struct ros2_ep *ep, struct shm_item *item, size_t *budget_p,
                           int *status_p)
{
    int rc = move(ep, item, budget_p);

    if (rc >= 0)
        return (enum outcome)rc;
    if (rc == -ERANGE)
        ep->domain->host->fail(ERANGE, "get: the peer has no such range in its region");
    else
        ep->domain->host->fail(EACCES, "get: the peer's region is gone, or not for reading");
    *status_p = rc;
    return DONE;
}

/* -- the queue -- */

static enum outcome do_item(struct ros2_ep *ep, struct shm_item *item, size_t *budget_p,
                            int *status_p)
{
    switch (item->kind) {
    case SHM_ITEM_PUT:
        return do_put(ep, item, budget_p, status_p);
    case SHM_ITEM_GET:
        return do_get(ep, item, budget_p, status_p);
    case SHM_ITEM_BYE:
        return write_mark(ep, SHM_BYE);
    default:
        return do_message(ep, item);
    }
}

int shm_rma_pump(struct ros2_ep *ep, size_t budget)
{
    struct shm_item *item;
    int count = 0;

    if ((ep->state != SHM_EP_OPEN && ep->state != SHM_EP_LINGERING) || ep->error)
        return 0;
    ep->blocked = false;
    while (budget > 0 && (item = shm_queue_head(&ep->queue)) != NULL) {
        int status = 0;
        if (do_item(ep, item, &budget, &status) != DONE)
            break;
        if (item->op)
            shm_ep_done(ep, item->op, status);
        shm_queue_pop(&ep->queue);
        count++;
    }
    if (ep->put_out) {
        ep->put_out = false;
        if (shm_ring_publish(ep->ring))
            shm_ep_wake(ep);
    }
    if (!shm_queue_head(&ep->queue))
        shm_list_remove(&ep->output_link);
    return count;
}
