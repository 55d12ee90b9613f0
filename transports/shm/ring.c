/* SPDX-License-Identifier: Apache-2.0 */
/* Two rings of bytes, each with one writer and one reader, in memory that a hostile peer shares. Owner: the domain's thread.
 *
 * Order: the writer stores its tail behind all it wrote, into the ring and before that into the peer's regions, with release;
 * the reader loads it with acquire. So whoever sees a message sees what was written before it, data of a put included.
 *
 * Sleeping: the sleeper stores its flag and then loads the other's index, the other stores its index and then loads the
 * flag, all sequentially consistent: at least one of them sees what the other did. */
#include "config.h"

#include "transports/shm/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MASK ((uint64_t)SHM_RING_BYTES - 1)
_Static_assert((SHM_RING_BYTES & (SHM_RING_BYTES - 1)) == 0, "a power of two");

struct shm_ring *shm_ring_create(void *map, unsigned side)
{
    struct shm_ring *ring = calloc(1, sizeof *ring);

    if (!ring)
        return NULL;
    ring->shared = map;
    ring->mine = &ring->shared->head.side[side];
    ring->theirs = &ring->shared->head.side[!side];
    ring->out = ring->shared->ring[side];
    ring->in = ring->shared->ring[!side];
    ring->my_pins = ring->shared->pin[side];
    ring->their_pins = ring->shared->pin[!side];
    ring->refs = 1;
    return ring;
}

void shm_ring_unref(struct shm_ring *ring)
{
    if (!ring || --ring->refs > 0)
        return;
    munmap(ring->shared, sizeof *ring->shared);
    free(ring);
}

/* -- sending -- */

int64_t shm_ring_room(struct shm_ring *ring, uint32_t enough)
{
    uint64_t seen = SHM_RING_BYTES - (ring->out_tail - ring->out_head);

    if (seen >= enough)
        return (int64_t)seen;
    uint64_t head = atomic_load_explicit(&ring->theirs->head, memory_order_acquire);

    /* Neither back behind what it had read before, nor beyond what was written. */
    if (head - ring->out_head > ring->out_tail - ring->out_head)
        return -1;
    ring->out_head = head;
    return (int64_t)(SHM_RING_BYTES - (ring->out_tail - head));
}

static void copy_in(struct shm_ring *ring, uint64_t at, const uint8_t *bytes, size_t len)
{
    size_t offset = (size_t)(at & MASK);
    size_t first = SHM_RING_BYTES - offset < len ? SHM_RING_BYTES - offset : len;

    memcpy(ring->out + offset, bytes, first);
    memcpy(ring->out, bytes + first, len - first);
}

void shm_ring_put(struct shm_ring *ring, const struct shm_record *record, const struct iovec *iov,
                  int iovcnt, uint64_t skip)
{
    uint64_t at = ring->out_tail + sizeof *record;
    uint64_t left = record->len;

    copy_in(ring, ring->out_tail, (const uint8_t *)record, sizeof *record);
    for (int i = 0; i < iovcnt && left > 0; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        size_t part = iov[i].iov_len - (size_t)skip;
        if (part > left)
            part = (size_t)left;
        copy_in(ring, at, (const uint8_t *)iov[i].iov_base + skip, part);
        skip = 0;
        at += part;
        left -= part;
    }
    ring->out_tail += shm_ring_need(record->len);
}

bool shm_ring_publish(struct shm_ring *ring)
{
    atomic_store(&ring->mine->tail, ring->out_tail);
    return (atomic_load(&ring->theirs->sleep) & SHM_WAKE_ON_DATA) &&
           atomic_exchange(&ring->theirs->sleep, SHM_AWAKE) != SHM_AWAKE;
}

/* -- receiving -- */

int64_t shm_ring_waiting(struct shm_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->theirs->tail, memory_order_acquire);

    if (tail == ring->in_tail)
        return (int64_t)(tail - ring->in_head);
    /* Neither back behind what it had written before, nor further ahead than the ring is long, nor in a record's middle. */
    if (tail - ring->in_tail > SHM_RING_BYTES - (ring->in_tail - ring->in_head) ||
        tail % SHM_RECORD_ALIGN != 0)
        return -1;
    ring->in_tail = tail;
    return (int64_t)(tail - ring->in_head);
}

int shm_ring_peek(struct shm_ring *ring, struct shm_record *record_p)
{
    struct shm_record record; /* the copy that is checked is the copy that is used */

    memcpy(&record, ring->in + (ring->in_head & MASK), sizeof record);
    if (record.len > SHM_RECORD_MAX || shm_ring_need(record.len) > ring->in_tail - ring->in_head)
        return -EPROTO;
    *record_p = record;
    return 0;
}

void shm_ring_take(struct shm_ring *ring, const struct shm_record *record, uint8_t *bytes)
{
    size_t offset = (size_t)((ring->in_head + sizeof *record) & MASK);
    size_t first = SHM_RING_BYTES - offset < record->len ? SHM_RING_BYTES - offset : record->len;

    memcpy(bytes, ring->in + offset, first);
    memcpy(bytes + first, ring->in, record->len - first);
    ring->in_head += shm_ring_need(record->len);
}

bool shm_ring_release(struct shm_ring *ring)
{
    if (ring->in_told == ring->in_head)
        return false;
    ring->in_told = ring->in_head;
    atomic_store(&ring->mine->head, ring->in_head);
    /* So much room takes any record; until then more of these calls follow: no wake-up for each record. */
    return ring->in_tail - ring->in_head <= SHM_RING_BYTES / 8 &&
           (atomic_load(&ring->theirs->sleep) & SHM_WAKE_ON_SPACE) &&
           atomic_exchange(&ring->theirs->sleep, SHM_AWAKE) != SHM_AWAKE;
}

/* -- sleeping -- */

bool shm_ring_sleep(struct shm_ring *ring, unsigned what)
{
    atomic_store(&ring->mine->sleep, what);
    if ((what & SHM_WAKE_ON_DATA) && atomic_load(&ring->theirs->tail) != ring->in_head)
        return false;
    return !(what & SHM_WAKE_ON_SPACE) || atomic_load(&ring->theirs->head) == ring->out_head;
}

bool shm_ring_awake(struct shm_ring *ring)
{
    return atomic_exchange(&ring->mine->sleep, SHM_AWAKE) == SHM_AWAKE;
}
