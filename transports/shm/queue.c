/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of items, each in one piece; where one does not fit in front of the ring's end, a pad fills that. Owner: the
 * domain's thread. Always: [head, tail) is whole items and pads, at most cap bytes. */
#include "config.h"

#include "transports/shm/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096u

_Static_assert(sizeof(struct shm_item) % 16 == 0, "parts behind an item must be aligned");

void shm_queue_fini(struct shm_queue *queue)
{
    free(queue->buf);
    *queue = (struct shm_queue){0};
}

size_t shm_item_size(int pieces, int iovs, size_t bytes)
{
    return sizeof(struct shm_item) + (size_t)pieces * sizeof(struct shm_piece) +
           (size_t)iovs * sizeof(struct iovec) + ((bytes + 15) & ~(size_t)15);
}

static struct shm_item *item_at(const struct shm_queue *queue, uint64_t at)
{
    return (struct shm_item *)(void *)(queue->buf + (at & (queue->cap - 1)));
}

static uint64_t place_of(const struct shm_queue *queue, const struct shm_item *item)
{
    uint64_t offset = (uint64_t)((const uint8_t *)item - queue->buf);

    return queue->head + ((offset - queue->head) & (queue->cap - 1));
}

/* The pad that an item of size needs in front of it, 0 mostly. */
static size_t pad_before(const struct shm_queue *queue, size_t size)
{
    size_t left = queue->cap - (size_t)(queue->tail & (queue->cap - 1));

    return size <= left ? 0 : left;
}

static int grow(struct shm_queue *queue, size_t size)
{
    struct shm_queue larger = {.cap = queue->cap ? queue->cap * 2 : FIRST_CAP};

    while (larger.cap < shm_queue_used(queue) + size)
        larger.cap *= 2;
    larger.buf = malloc(larger.cap);
    if (!larger.buf)
        return -ENOMEM;
    for (struct shm_item *i = shm_queue_head(queue); i; i = shm_queue_next(queue, i)) {
        memcpy(larger.buf + larger.tail, i, i->size);
        larger.tail += i->size;
    }
    free(queue->buf);
    *queue = larger;
    return 0;
}

int shm_queue_append(struct shm_queue *queue, enum shm_item_kind kind, int pieces, int iovs,
                     size_t bytes, struct shm_item **item_p)
{
    size_t size = shm_item_size(pieces, iovs, bytes);

    if (queue->cap == 0 || shm_queue_used(queue) + pad_before(queue, size) + size > queue->cap) {
        int rc = grow(queue, size);
        if (rc < 0)
            return rc;
    }
    size_t pad = pad_before(queue, size);
    if (pad > 0) {
        struct shm_item *filler = item_at(queue, queue->tail);
        filler->size = (uint32_t)pad;
        filler->kind = SHM_ITEM_PAD;
        queue->tail += pad;
    }
    struct shm_item *item = item_at(queue, queue->tail);
    *item = (struct shm_item){
        .size = (uint32_t)size,
        .kind = (uint8_t)kind,
        .iov_count = (uint16_t)iovs,
        .piece_count = (uint16_t)pieces,
        .byte_count = (uint32_t)bytes,
    };
    queue->tail += size;
    *item_p = item;
    return 0;
}

struct shm_item *shm_queue_head(struct shm_queue *queue)
{
    while (queue->head != queue->tail) {
        struct shm_item *item = item_at(queue, queue->head);
        if (item->kind != SHM_ITEM_PAD)
            return item;
        queue->head += item->size;
    }
    return NULL;
}

struct shm_item *shm_queue_next(const struct shm_queue *queue, const struct shm_item *item)
{
    uint64_t at = place_of(queue, item) + item->size;

    while (at != queue->tail) {
        struct shm_item *next = item_at(queue, at);
        if (next->kind != SHM_ITEM_PAD)
            return next;
        at += next->size;
    }
    return NULL;
}

void shm_queue_pop(struct shm_queue *queue)
{
    struct shm_item *item = shm_queue_head(queue);

    queue->head += item->size;
    /* Empty: start over, so that the same lines of memory are used again. */
    if (queue->head == queue->tail)
        queue->head = queue->tail = 0;
}

void shm_queue_cut(struct shm_queue *queue, const struct shm_item *item)
{
    queue->tail = place_of(queue, item);
}
