/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of one connection as one side sees it: the ring it fills, the ring it drains, flags and pins. */
#ifndef SHM_RING_H
#define SHM_RING_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "transports/shm/layout.h"

/* owner: the domain's thread. Counted: it outlives its endpoint while a mapping of the peer's memory is in use. Always: the
 * own indices are the private ones, their shared copies are only written; those of the peer have been checked. */
struct shm_ring {
    struct shm_shared *shared;
    struct shm_side *mine, *theirs;
    uint8_t *out;
    const uint8_t *in;
    _Atomic uint32_t *my_pins;          /* raised by this side */
    const _Atomic uint32_t *their_pins; /* raised by the peer, in this side's regions */
    uint32_t refs;
    uint64_t out_tail, out_head; /* own; the peer's as last seen */
    uint64_t in_head, in_tail;   /* own; the peer's as last seen */
    uint64_t in_told;            /* in_head as the peer knows it */
};

/* Takes over the mapping. NULL: no memory. */
struct shm_ring *shm_ring_create(void *map, unsigned side);
void shm_ring_unref(struct shm_ring *ring); /* NULL is fine */

/* -- sending. What is put in is visible to the peer after publish. -- */

/* Free bytes; -1: the peer's index is none. As last seen when that is enough: a look takes the line from the peer. */
int64_t shm_ring_room(struct shm_ring *ring, uint32_t enough);
/* What a record of len bytes takes. */
static inline uint32_t shm_ring_need(uint32_t len)
{
    return (uint32_t)sizeof(struct shm_record) +
           ((len + SHM_RECORD_ALIGN - 1) & ~(SHM_RECORD_ALIGN - 1));
}
/* One record of the len bytes of the pieces behind `skip` bytes. There is room. */
void shm_ring_put(struct shm_ring *ring, const struct shm_record *record, const struct iovec *iov,
                  int iovcnt, uint64_t skip);
/* true: the peer sleeps, and it is on the caller to wake it. */
bool shm_ring_publish(struct shm_ring *ring);

/* -- receiving -- */

/* Looks for more. Bytes that wait; -1: the peer's index is none. */
int64_t shm_ring_waiting(struct shm_ring *ring);
/* The header of the next record, checked: 0 or -EPROTO. Something waits. */
int shm_ring_peek(struct shm_ring *ring, struct shm_record *record_p);
/* Copies the record's bytes out and drops it. */
void shm_ring_take(struct shm_ring *ring, const struct shm_record *record, uint8_t *bytes);
/* Gives the room of what was taken back. true: the peer sleeps for room, and it is on the caller to wake it. */
bool shm_ring_release(struct shm_ring *ring);

/* -- sleeping -- */

/* The peer is to wake this side on any of what (enum shm_sleep). false: there is no need to sleep, it has come already. */
bool shm_ring_sleep(struct shm_ring *ring, unsigned what);
/* true: the peer has rung or will ring for the last sleep. */
bool shm_ring_awake(struct shm_ring *ring);

static inline uint32_t shm_ring_gate(const struct shm_ring *ring)
{
    return atomic_load_explicit(&ring->theirs->gate, memory_order_acquire);
}

#endif
