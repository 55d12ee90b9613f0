/* SPDX-License-Identifier: Apache-2.0 */
/* The stream from the peer, as a state machine without I/O: it says where the next bytes are to be put, and makes
 * frames of what has been put there. */
#ifndef TCP_RECEIVE_H
#define TCP_RECEIVE_H

#include <stdbool.h>

#include "transports/tcp/frame.h"

/* Pieces that one read may fill. */
#define TCP_RECEIVE_IOV 16

enum tcp_await {
    TCP_AWAIT_PREAMBLE, /* nothing is allocated before it is right */
    TCP_AWAIT_HEADER,
    TCP_AWAIT_SEGMENTS,
    TCP_AWAIT_DATA,
    TCP_AWAIT_MESSAGE,
};

/* owner: the domain's thread. */
struct tcp_receive {
    enum tcp_await await;
    uint8_t preamble[TCP_PREAMBLE_LEN];
    uint8_t *buf; /* bytes [start, end) are received and not yet used */
    size_t cap, start, end;
    struct tcp_header header;    /* of the frame that is being received */
    struct tcp_segment *segment; /* PUT: its targets; TCP_SEGMENTS_MAX of them */
    const struct iovec *into;    /* GET_DATA: the asker's targets */
    uint64_t data_left;          /* of the frame */
    int piece;                   /* the target that is being filled */
    uint64_t piece_done;         /* bytes of it that have landed */
    bool full;             /* the last read filled buf: a larger one would save system calls */
    bool exact;            /* large data is expected: do not read it into buf */
    unsigned plain_frames; /* since the last frame with data */
};

void tcp_receive_fini(struct tcp_receive *receive);
/* Where the next bytes go: fills iov (TCP_RECEIVE_IOV entries), returns their number, *want_p their bytes (> 0). */
int tcp_receive_vec(struct ros2_ep *ep, struct iovec *iov, size_t *want_p);
/* n bytes lie where the last tcp_receive_vec said. */
void tcp_receive_landed(struct ros2_ep *ep, size_t n);
/* Makes frames of what lies there and runs callbacks, for at most *frames_p of them. 0: needs more bytes, or a
 * callback ended ep; 1: *frames_p is used up; negative: the connection is over, error text set. */
int tcp_receive_parse(struct ros2_ep *ep, int *frames_p);
/* The peer may end here without breaking off a frame. */
bool tcp_receive_between_frames(const struct tcp_receive *receive);

#endif
