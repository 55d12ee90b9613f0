/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of records, one per unsent frame. TCP takes frames strictly in order, so that everything a frame needs
 * (header, descriptors, copied bytes, lists of borrowed pieces) can live here and no operation allocates. Owner: the
 * domain's thread. Always: head..tail holds `count` whole records, `used` bytes together. */
#include "config.h"

#include "transports/tcp/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096u

_Static_assert(sizeof(struct tcp_record) % 8 == 0, "pieces behind a record must be aligned");

void tcp_queue_fini(struct tcp_queue *queue)
{
    free(queue->ring);
    *queue = (struct tcp_queue){0};
}

size_t tcp_record_size(size_t byte_count, int iov_count, int segment_count)
{
    return sizeof(struct tcp_record) + ((byte_count + 7) & ~(size_t)7) +
           (size_t)iov_count * sizeof(struct iovec) +
           (size_t)segment_count * sizeof(struct tcp_segment);
}

static struct tcp_record *record_at(const struct tcp_queue *queue, size_t offset)
{
    return (struct tcp_record *)(void *)(queue->ring + offset);
}

/* Finds size contiguous bytes behind the tail, moving it to the start of the ring where the end is too short. One byte
 * always stays free, so that head == tail means empty. */
static bool place(struct tcp_queue *queue, size_t size)
{
    if (queue->count == 0)
        queue->head = queue->tail = 0;
    if (queue->tail < queue->head)
        return size < queue->head - queue->tail;
    if (size < queue->cap - queue->tail)
        return true;
    if (size >= queue->head)
        return false;
    /* tail < cap always holds and both are multiples of 8: the marker fits. */
    record_at(queue, queue->tail)->size = 0;
    queue->tail = 0;
    return true;
}

/* A larger ring with all records in a row. */
static int grow(struct tcp_queue *queue, size_t size)
{
    size_t cap = queue->cap ? queue->cap * 2 : FIRST_CAP;

    while (cap <= queue->used + size)
        cap *= 2;
    uint8_t *ring = malloc(cap);
    if (!ring)
        return -ENOMEM;
    size_t tail = 0;
    for (struct tcp_record *r = tcp_queue_head(queue); r; r = tcp_queue_next(queue, r)) {
        memcpy(ring + tail, r, r->size);
        tail += r->size;
    }
    free(queue->ring);
    queue->ring = ring;
    queue->cap = cap;
    queue->head = 0;
    queue->tail = tail;
    return 0;
}

int tcp_queue_append(struct tcp_queue *queue, size_t byte_count, int iov_count, int segment_count,
                     uint64_t wire_len, struct tcp_record **record_p)
{
    size_t size = tcp_record_size(byte_count, iov_count, segment_count);

    if (!place(queue, size)) {
        int rc = grow(queue, size);
        if (rc < 0)
            return rc;
    }
    struct tcp_record *record = record_at(queue, queue->tail);
    *record = (struct tcp_record){
        .size = (uint32_t)size,
        .byte_count = (uint32_t)byte_count,
        .wire_len = wire_len,
        .iov_count = (uint16_t)iov_count,
        .segment_count = (uint16_t)segment_count,
    };
    queue->tail += size;
    queue->used += size;
    queue->count++;
    queue->wire_left += wire_len;
    *record_p = record;
    return 0;
}

struct tcp_record *tcp_queue_head(const struct tcp_queue *queue)
{
    return queue->count ? record_at(queue, queue->head) : NULL;
}

/* The offset of the record behind the one at offset, which is not the last. */
static size_t after(const struct tcp_queue *queue, size_t offset)
{
    offset += record_at(queue, offset)->size;
    return record_at(queue, offset)->size == 0 ? 0 : offset;
}

struct tcp_record *tcp_queue_next(const struct tcp_queue *queue, struct tcp_record *record)
{
    size_t offset = (size_t)((uint8_t *)record - queue->ring);

    if (offset + record->size == queue->tail)
        return NULL;
    return record_at(queue, after(queue, offset));
}

void tcp_queue_pop(struct tcp_queue *queue)
{
    struct tcp_record *record = record_at(queue, queue->head);

    queue->used -= record->size;
    queue->wire_left -= record->wire_len - queue->sent;
    queue->sent = 0;
    queue->count--;
    if (queue->count == 0)
        queue->head = queue->tail = 0;
    else
        queue->head = after(queue, queue->head);
}

/* Where the records before the one at offset end. That is the marker at the ring's end, and not offset, when it is the
 * first one behind the wrap: with the tail at offset a walk would go on over bytes that nobody owns. */
static size_t end_before(const struct tcp_queue *queue, size_t offset)
{
    size_t at = queue->head, end = offset;

    while (at != offset) {
        end = at + record_at(queue, at)->size;
        at = after(queue, at);
    }
    return end;
}

void tcp_queue_cut(struct tcp_queue *queue, struct tcp_record *record)
{
    size_t offset = (size_t)((uint8_t *)record - queue->ring);
    size_t tail = end_before(queue, offset);

    if (offset == queue->head) {
        queue->wire_left += queue->sent;
        queue->sent = 0;
    }
    for (struct tcp_record *r = record; r; r = tcp_queue_next(queue, r)) {
        queue->used -= r->size;
        queue->wire_left -= r->wire_len;
        queue->count--;
    }
    queue->tail = tail;
}
