/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of one endpoint that are not yet sent, in order. */
#ifndef TCP_QUEUE_H
#define TCP_QUEUE_H

#include <stdbool.h>

#include "ros2/transport.h"
#include "transports/tcp/frame.h"

/* One frame in the ring. Behind it: `bytes` (header, descriptors, a copied message), padded to 8, then either borrowed
 * pieces (iov_count) or pieces of own regions (segment_count). On the wire they follow in that order. */
struct tcp_record {
    uint32_t size; /* of the record with all behind it, a multiple of 8; 0 marks the ring's end */
    uint32_t byte_count;
    uint64_t wire_len; /* of the whole frame */
    struct ros2_op *op;
    uint16_t iov_count;
    uint16_t segment_count;
    bool answer; /* to a get of the peer */
    bool begun;  /* part of it is out; its regions are held */
};

/* owner: the domain's thread. Records never straddle the end of the ring; the ring moves when it grows. */
struct tcp_queue {
    uint8_t *ring;
    size_t cap;
    size_t head, tail; /* offsets of the oldest record and of the free space */
    size_t used;       /* bytes of live records */
    uint32_t count;
    uint64_t wire_left; /* bytes still to send */
    uint64_t sent;      /* bytes of the head record that are out */
};

void tcp_queue_fini(struct tcp_queue *queue);
/* What a record takes of the ring. */
size_t tcp_record_size(size_t byte_count, int iov_count, int segment_count);
/* Adds a record with room for its parts; the caller fills them. 0 or -ENOMEM (only when the ring must grow: steady
 * traffic allocates nothing). */
int tcp_queue_append(struct tcp_queue *queue, size_t byte_count, int iov_count, int segment_count,
                     uint64_t wire_len, struct tcp_record **record_p);
/* The oldest record, and the one after; NULL at the end. Valid until the next append. */
struct tcp_record *tcp_queue_head(const struct tcp_queue *queue);
struct tcp_record *tcp_queue_next(const struct tcp_queue *queue, struct tcp_record *record);
void tcp_queue_pop(struct tcp_queue *queue);
/* Forgets record and all after it. */
void tcp_queue_cut(struct tcp_queue *queue, struct tcp_record *record);

static inline uint8_t *tcp_record_bytes(struct tcp_record *record)
{
    return (uint8_t *)(record + 1);
}

static inline void *tcp_record_pieces(struct tcp_record *record)
{
    return tcp_record_bytes(record) + (((size_t)record->byte_count + 7) & ~(size_t)7);
}

static inline struct iovec *tcp_record_iov(struct tcp_record *record)
{
    return tcp_record_pieces(record);
}

static inline struct tcp_segment *tcp_record_segment(struct tcp_record *record)
{
    return tcp_record_pieces(record);
}

#endif
