/* SPDX-License-Identifier: Apache-2.0 */
/* The transfers of one endpoint that are not yet done, in order. */
#ifndef SHM_QUEUE_H
#define SHM_QUEUE_H

#include <stdbool.h>

#include "ros2/transport.h"
#include "transports/shm/peer.h"

enum shm_item_kind { SHM_ITEM_PAD, SHM_ITEM_MESSAGE, SHM_ITEM_PUT, SHM_ITEM_GET, SHM_ITEM_BYE };

/* Behind it: piece_count struct shm_piece, iov_count struct iovec, byte_count copied bytes. */
struct shm_item {
    uint32_t size; /* of all, a multiple of 16 */
    uint8_t kind;
    bool resolved; /* the pieces are pinned; before, they hold remote names */
    bool moved;    /* the data is where it belongs, the pins are down */
    uint16_t iov_count, piece_count;
    uint16_t iov, piece; /* where the copying is, and in these: */
    uint32_t byte_count;
    uint64_t iov_at, piece_at;
    struct ros2_op *op;
    const void *message; /* of a put, borrowed */
    uint64_t message_len, message_sent;
    uint64_t unused; /* keeps what follows aligned */
};

/* What waits behind an item until it is pinned, in the place of its struct shm_piece. */
struct shm_name {
    uint64_t token, offset, len, unused;
};
_Static_assert(sizeof(struct shm_name) == sizeof(struct shm_piece), "they share their place");

/* owner: the domain's thread. A ring of whole items; head and tail only grow. */
struct shm_queue {
    uint8_t *buf;
    size_t cap; /* a power of two, or 0 */
    uint64_t head, tail;
};

void shm_queue_fini(struct shm_queue *queue);
size_t shm_item_size(int pieces, int iovs, size_t bytes);
/* Adds an item with room for its parts; the caller fills them. 0 or -ENOMEM (only when the ring must grow: steady traffic
 * allocates nothing). */
int shm_queue_append(struct shm_queue *queue, enum shm_item_kind kind, int pieces, int iovs,
                     size_t bytes, struct shm_item **item_p);
/* The oldest item, and the one after; NULL at the end. Valid until the next append. */
struct shm_item *shm_queue_head(struct shm_queue *queue);
struct shm_item *shm_queue_next(const struct shm_queue *queue, const struct shm_item *item);
void shm_queue_pop(struct shm_queue *queue);
/* Forgets item and all after it. */
void shm_queue_cut(struct shm_queue *queue, const struct shm_item *item);

static inline size_t shm_queue_used(const struct shm_queue *queue)
{
    return (size_t)(queue->tail - queue->head);
}

static inline struct shm_piece *shm_item_pieces(struct shm_item *item)
{
    return (struct shm_piece *)(void *)(item + 1);
}

static inline struct shm_name *shm_item_names(struct shm_item *item)
{
    return (struct shm_name *)(void *)(item + 1);
}

static inline struct iovec *shm_item_iov(struct shm_item *item)
{
    return (struct iovec *)(void *)(shm_item_pieces(item) + item->piece_count);
}

static inline uint8_t *shm_item_bytes(struct shm_item *item)
{
    return (uint8_t *)(shm_item_iov(item) + item->iov_count);
}

#endif
