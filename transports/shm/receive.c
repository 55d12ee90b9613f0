/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving half of an endpoint. Owner: the domain's thread. Always: a record's header is copied once and the copy is
 * checked; a message is copied out of the ring before the handler sees it, so that the peer cannot change it in between. */
#include "config.h"

#include "transports/shm/receive.h"

#include <errno.h>
#include <stdlib.h>

#include "transports/shm/endpoint.h"

/* What one endpoint may take of one call of progress, so that others get their turn. */
#define TURN_RECORDS 64

static int broken(struct ros2_ep *ep, const char *why)
{
    return shm_ep_fail(ep, EPROTO, why);
}

static void deliver(struct ros2_ep *ep, const uint8_t *bytes, size_t len)
{
    if (ep->handled && ep->handler.message)
        ep->handler.message(ep->arg, ep, bytes, len);
}

/* The next part of a long message. */
static int fragment(struct ros2_ep *ep, const struct shm_record *record)
{
    if (record->len == 0 || record->total <= SHM_RECORD_MAX)
        return broken(ep, "it sent a fragment of a short message");
    if (ep->message_len > 0 && record->total != ep->message_total)
        return broken(ep, "it mixed the fragments of two messages");
    if (record->total > ep->domain->max_message)
        return broken(ep, "its message is longer than the limit");
    if (record->len > record->total - ep->message_len)
        return broken(ep, "its message is longer than it said");
    if (!ep->message) {
        /* Kept: no message after the first costs an allocation. */
        ep->message = malloc(ep->domain->max_message);
        if (!ep->message)
            return shm_ep_fail(ep, ENOMEM, "out of memory for a message");
    }
    shm_ring_take(ep->ring, record, ep->message + ep->message_len);
    ep->message_total = record->total;
    ep->message_len += record->len;
    if (ep->message_len == record->total) {
        ep->message_len = 0;
        deliver(ep, ep->message, record->total);
    }
    return 0;
}

static int message(struct ros2_ep *ep, const struct shm_record *record)
{
    if (record->total != record->len)
        return broken(ep, "its record says two lengths");
    if (ep->message_len > 0)
        return broken(ep, "it put a message between fragments");
    if (record->len > ep->domain->max_message)
        return broken(ep, "its message is longer than the limit");
    shm_ring_take(ep->ring, record, ep->domain->scratch);
    deliver(ep, ep->domain->scratch, record->len);
    return 0;
}

/* 0, or the error that ends the connection. */
static int next_record(struct ros2_ep *ep)
{
    struct shm_record record;

    if (shm_ring_peek(ep->ring, &record) < 0)
        return broken(ep, "its record is longer than what it wrote");
    if (record.type == SHM_MESSAGE)
        return message(ep, &record);
    if (record.type == SHM_FRAGMENT)
        return fragment(ep, &record);
    if (record.len != 0 || record.total != 0 || ep->message_len > 0)
        return broken(ep, "it broke the protocol");
    if (record.type == SHM_BYE) {
        shm_ep_fail(ep, EPIPE, "the peer has closed it");
        return -EPIPE;
    }
    return broken(ep, record.type == SHM_BREACH ? "it asked for a put that is not allowed"
                                                : "it sent a record of no known type");
}

/* The ring is empty: is that for good? */
static int ended(struct ros2_ep *ep)
{
    if (!ep->hup && shm_ring_gate(ep->ring) != SHM_GATE_CLOSED)
        return 0;
    /* What was written before the end is there by now. */
    if (shm_ring_waiting(ep->ring) != 0)
        return 0;
    shm_ep_die(ep, shm_ep_fail(ep, ECONNRESET, "the peer is gone"));
    return 1;
}

static int receive(struct ros2_ep *ep, int64_t waiting)
{
    int count = 0;

    while (waiting > 0 && count < TURN_RECORDS && ep->state == SHM_EP_OPEN) {
        int rc = next_record(ep);
        count++;
        if (ep->state != SHM_EP_OPEN) /* by the handler */
            return count;
        if (rc < 0) {
            shm_ep_die(ep, rc);
            return count;
        }
        waiting = (int64_t)(ep->ring->in_tail - ep->ring->in_head);
    }
    if (ep->state == SHM_EP_OPEN && shm_ring_release(ep->ring))
        shm_ep_wake(ep);
    return count;
}

int shm_receive(struct ros2_ep *ep)
{
    int64_t waiting = shm_ring_waiting(ep->ring);

    if (waiting > 0) {
        ep->idle = 0;
        return receive(ep, waiting);
    }
    ep->idle++;
    if (waiting == 0)
        return ended(ep);
    shm_ep_die(ep, broken(ep, "it broke the ring"));
    return 1;
}
