/* SPDX-License-Identifier: Apache-2.0 */
/* What travels on the connection, byte by byte: docs/PROTOCOL-tcp.md is the specification. No I/O, no state. */
#ifndef TCP_FRAME_H
#define TCP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "ros2/transport.h"

#define TCP_PREAMBLE_LEN 8
#define TCP_HEADER_LEN   32
#define TCP_SEGMENT_LEN  24
#define TCP_SEGMENTS_MAX ROS2_TRANSPORT_SEGMENTS_MAX
/* Gets that one side may have unanswered: it bounds what the other must remember, and is part of the protocol. */
#define TCP_GETS_MAX 64

enum tcp_frame_type {
    TCP_MSG = 1,       /* message */
    TCP_PUT = 2,       /* segments, data, message */
    TCP_GET = 3,       /* segments */
    TCP_GET_DATA = 4,  /* data */
    TCP_GET_ERROR = 5, /* nothing */
};

struct tcp_header {
    uint8_t type;          /* enum tcp_frame_type */
    uint8_t segment_count; /* PUT, GET: 0..TCP_SEGMENTS_MAX */
    uint32_t message_len;  /* MSG, PUT */
    uint64_t data_len;     /* PUT, GET_DATA: bytes that follow; GET: bytes asked for */
    uint64_t id;           /* GET and its answer: chosen by the asker, not 0 */
    uint32_t status;       /* GET_ERROR: EACCES or ERANGE */
};

struct tcp_segment {
    uint64_t token;
    uint64_t offset; /* bytes from the region's start */
    uint64_t len;    /* bytes */
};

extern const uint8_t tcp_preamble[TCP_PREAMBLE_LEN];

/* bytes: TCP_HEADER_LEN of them. max_message: the longest message this side takes. 0, or -EPROTO with *why_p set to a
 * constant text; *header_p is then untouched. */
int tcp_header_decode(const uint8_t *bytes, uint32_t max_message, struct tcp_header *header_p,
                      const char **why_p);
void tcp_header_encode(const struct tcp_header *header, uint8_t *bytes);

/* bytes: header->segment_count * TCP_SEGMENT_LEN of them. Checks that the lengths add up to data_len, not the ranges:
 * those are the region table's. 0, or -EPROTO with *why_p set. */
int tcp_segments_decode(const uint8_t *bytes, const struct tcp_header *header,
                        struct tcp_segment *segment, const char **why_p);
void tcp_segment_encode(const struct tcp_segment *segment, uint8_t *bytes);

static inline uint32_t tcp_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t tcp_load64(const uint8_t *p)
{
    return (uint64_t)tcp_load32(p) | (uint64_t)tcp_load32(p + 4) << 32;
}

static inline void tcp_store32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline void tcp_store64(uint8_t *p, uint64_t v)
{
    tcp_store32(p, (uint32_t)v);
    tcp_store32(p + 4, (uint32_t)(v >> 32));
}

#endif
