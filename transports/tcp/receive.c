/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving half of an endpoint, without I/O. Data of puts and get answers is read from the socket straight into
 * its target; headers and messages go through buf. Owner: the domain's thread. Always: a target is looked up again
 * before each read, so that nothing lands in a region after it was deregistered; a frame's header and all its segments
 * have been checked before its first byte of data lands. */
#include "config.h"

#include "transports/tcp/receive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/tcp/endpoint.h"
#include "transports/tcp/rma.h"

/* The first buffer behind a good preamble: a read takes in a good hundred short messages. */
#define FIRST_CAP 16384u
/* The buffer of a busy connection: several reads' worth of small frames with data. */
#define BUSY_CAP 65536u
/* From here on a copy through buf costs more than a second system call. */
#define LARGE_DATA 16384u
/* Behind a frame with large data, read only so far ahead: the next header, a few segments or a short message. What is
 * read ahead of further data is copied once more. */
#define AHEAD 256u
/* So many frames without data, and large data is no longer expected. */
#define PLAIN_FRAMES 4u

void tcp_receive_fini(struct tcp_receive *rx)
{
    free(rx->buf);
    free(rx->segment);
    rx->buf = NULL;
    rx->segment = NULL;
}

bool tcp_receive_between_frames(const struct tcp_receive *rx)
{
    if (rx->await == TCP_AWAIT_PREAMBLE)
        return rx->end == 0;
    return rx->await == TCP_AWAIT_HEADER && rx->start == rx->end;
}

/* -- where bytes go -- */

/* The whole target number i; *addr_p NULL: its region is gone, its bytes are discarded. */
static void target(const struct ros2_ep *ep, int i, uint8_t **addr_p, uint64_t *len_p)
{
    const struct tcp_receive *rx = &ep->receive;

    *addr_p = NULL;
    if (rx->header.type == TCP_GET_DATA) {
        *addr_p = rx->into[i].iov_base;
        *len_p = rx->into[i].iov_len;
        return;
    }
    *len_p = rx->segment[i].len;
    tcp_region_resolve(&ep->domain->regions, &rx->segment[i], ROS2_REGION_REMOTE_WRITE, addr_p);
}

/* The targets of the data still to come, up to max pieces. *whole_p: they are all of it. */
static int data_targets(const struct ros2_ep *ep, struct iovec *iov, int max, bool *whole_p)
{
    const struct tcp_receive *rx = &ep->receive;
    uint64_t left = rx->data_left;
    uint64_t skip = rx->piece_done;
    int n = 0;

    *whole_p = false;
    for (int i = rx->piece; left > 0; i++, skip = 0) {
        uint8_t *addr;
        uint64_t len;
        target(ep, i, &addr, &len);
        len -= skip;
        if (len == 0)
            continue;
        if (n == max)
            return n;
        iov[n].iov_base = addr ? addr + skip : ep->domain->scratch;
        iov[n++].iov_len = addr || len <= TCP_SCRATCH_LEN ? len : TCP_SCRATCH_LEN;
        if (iov[n - 1].iov_len < len)
            return n;
        left -= len;
    }
    *whole_p = true;
    return n;
}

static void data_landed(struct ros2_ep *ep, uint64_t n)
{
    struct tcp_receive *rx = &ep->receive;

    rx->data_left -= n;
    rx->piece_done += n;
    for (;;) {
        uint8_t *addr;
        uint64_t len;
        if (rx->piece_done == 0)
            return;
        target(ep, rx->piece, &addr, &len);
        if (rx->piece_done < len)
            return;
        rx->piece_done -= len;
        rx->piece++;
    }
}

/* Replaces the empty buf; without memory it stays. At most once in a connection's life. */
static void enlarge(struct tcp_receive *rx)
{
    uint8_t *buf = malloc(BUSY_CAP);

    if (!buf)
        return;
    free(rx->buf);
    rx->buf = buf;
    rx->cap = BUSY_CAP;
}

/* Room at the end of buf for want bytes. buf is large enough for the frame by then. */
static void make_room(struct tcp_receive *rx, size_t want)
{
    if (rx->start == rx->end) {
        rx->start = rx->end = 0;
        if (rx->full && rx->cap < BUSY_CAP)
            enlarge(rx);
    }
    if (rx->start == 0 || rx->cap - rx->end >= want)
        return;
    memmove(rx->buf, rx->buf + rx->start, rx->end - rx->start);
    rx->end -= rx->start;
    rx->start = 0;
}

/* Bytes that buf lacks for the step that is awaited, message included. */
static size_t missing(const struct tcp_receive *rx)
{
    size_t need = rx->header.message_len;

    if (rx->await == TCP_AWAIT_HEADER)
        need = TCP_HEADER_LEN;
    else if (rx->await == TCP_AWAIT_SEGMENTS)
        need = rx->header.segment_count * (size_t)TCP_SEGMENT_LEN;
    return need > rx->end - rx->start ? need - (rx->end - rx->start) : 0;
}

int tcp_receive_vec(struct ros2_ep *ep, struct iovec *iov, size_t *want_p)
{
    struct tcp_receive *rx = &ep->receive;
    bool whole = true;
    int n = 0;

    *want_p = 0;
    if (rx->await == TCP_AWAIT_PREAMBLE) {
        iov[0] = (struct iovec){rx->preamble + rx->end, TCP_PREAMBLE_LEN - rx->end};
        *want_p = iov[0].iov_len;
        return 1;
    }
    if (rx->await == TCP_AWAIT_DATA)
        n = data_targets(ep, iov, TCP_RECEIVE_IOV - 1, &whole);
    for (int i = 0; i < n; i++)
        *want_p += iov[i].iov_len;
    if (!whole)
        return n;
    size_t room = missing(rx) + AHEAD;
    if (!rx->exact && room < rx->cap / 2)
        room = rx->cap / 2;
    make_room(rx, room);
    if (!rx->exact || room > rx->cap - rx->end)
        room = rx->cap - rx->end;
    iov[n++] = (struct iovec){rx->buf + rx->end, room};
    *want_p += room;
    return n;
}

void tcp_receive_landed(struct ros2_ep *ep, size_t n)
{
    struct tcp_receive *rx = &ep->receive;

    if (rx->await == TCP_AWAIT_DATA) {
        uint64_t data = n < rx->data_left ? n : rx->data_left;
        data_landed(ep, data);
        n -= data;
    }
    rx->end += n;
    rx->full = !rx->exact && rx->end == rx->cap;
}

/* -- what bytes mean -- */

/* A frame is over: what does it say about the next ones? */
static void frame_done(struct tcp_receive *rx)
{
    bool data = rx->header.type == TCP_PUT || rx->header.type == TCP_GET_DATA;

    if (data && rx->header.data_len > 0) {
        rx->exact = rx->header.data_len >= LARGE_DATA;
        rx->plain_frames = 0;
    } else if (++rx->plain_frames >= PLAIN_FRAMES) {
        rx->exact = false;
    }
    rx->await = TCP_AWAIT_HEADER;
}

/* Makes buf large enough for what the header announces; bounded by max_message. */
static int reserve(struct ros2_ep *ep, size_t need)
{
    struct tcp_receive *rx = &ep->receive;
    size_t cap = rx->cap ? rx->cap : FIRST_CAP;

    while (cap < need + AHEAD)
        cap *= 2;
    if (cap == rx->cap)
        return 0;
    uint8_t *buf = malloc(cap);
    if (!buf)
        return tcp_ep_fail(ep, ENOMEM, "out of memory for a message");
    if (rx->end > rx->start)
        memcpy(buf, rx->buf + rx->start, rx->end - rx->start);
    free(rx->buf);
    rx->buf = buf;
    rx->cap = cap;
    rx->end -= rx->start;
    rx->start = 0;
    return 0;
}

static int take_preamble(struct ros2_ep *ep)
{
    struct tcp_receive *rx = &ep->receive;

    /* Judged as it trickles in: garbage is refused at its first wrong byte. */
    if (memcmp(rx->preamble, tcp_preamble, rx->end) != 0) {
        bool version = rx->end == TCP_PREAMBLE_LEN &&
                       memcmp(rx->preamble, tcp_preamble, TCP_PREAMBLE_LEN - 1) == 0;
        return tcp_ep_fail(ep, EPROTO,
                           version ? "it speaks another version of the protocol"
                                   : "it does not speak this protocol");
    }
    if (rx->end < TCP_PREAMBLE_LEN)
        return 0;
    rx->end = 0;
    rx->segment = malloc(TCP_SEGMENTS_MAX * sizeof *rx->segment);
    if (!rx->segment)
        return tcp_ep_fail(ep, ENOMEM, "out of memory for its buffers");
    int rc = reserve(ep, 0);
    if (rc < 0)
        return rc;
    rx->await = TCP_AWAIT_HEADER;
    if (!ep->usable) {
        ep->usable = true;
        if (ep->handler.connected)
            ep->handler.connected(ep->arg, ep);
    }
    return 1;
}

static int take_header(struct ros2_ep *ep)
{
    struct tcp_receive *rx = &ep->receive;
    const char *why;

    if (rx->end - rx->start < TCP_HEADER_LEN)
        return 0;
    if (tcp_header_decode(rx->buf + rx->start, ep->domain->max_message, &rx->header, &why) < 0)
        return tcp_ep_fail(ep, EPROTO, why);
    rx->start += TCP_HEADER_LEN;
    rx->data_left = 0;
    rx->piece = 0;
    rx->piece_done = 0;
    int rc = reserve(ep, rx->header.message_len);
    if (rc < 0)
        return rc;
    switch (rx->header.type) {
    case TCP_MSG:
        rx->await = TCP_AWAIT_MESSAGE;
        return 1;
    case TCP_GET_DATA:
        rc = tcp_rma_answered(ep, &rx->header, &rx->into);
        if (rc < 0)
            return rc;
        rx->data_left = rx->header.data_len;
        rx->await = TCP_AWAIT_DATA;
        return 1;
    case TCP_GET_ERROR:
        frame_done(rx);
        rc = tcp_rma_refused(ep, &rx->header);
        return rc < 0 ? rc : 2;
    default:
        rx->await = TCP_AWAIT_SEGMENTS;
        return 1;
    }
}

/* All targets of a put are good, or were once. */
static int check_targets(struct ros2_ep *ep)
{
    struct tcp_receive *rx = &ep->receive;
    uint8_t *addr;

    for (int i = 0; i < rx->header.segment_count; i++) {
        int rc = tcp_region_resolve(&ep->domain->regions, &rx->segment[i], ROS2_REGION_REMOTE_WRITE,
                                    &addr);
        if (rc == -EACCES)
            return tcp_ep_fail(ep, EPROTO, "it wrote to memory that was not granted");
        if (rc == -ERANGE)
            return tcp_ep_fail(ep, EPROTO, "it wrote past the end of a region");
        /* -ESTALE: the region is gone, its sender could not know yet; what is for it is discarded. */
    }
    return 0;
}

static int take_segments(struct ros2_ep *ep)
{
    struct tcp_receive *rx = &ep->receive;
    size_t need = rx->header.segment_count * (size_t)TCP_SEGMENT_LEN;
    const char *why;

    if (rx->end - rx->start < need)
        return 0;
    if (tcp_segments_decode(rx->buf + rx->start, &rx->header, rx->segment, &why) < 0)
        return tcp_ep_fail(ep, EPROTO, why);
    rx->start += need;
    if (rx->header.type == TCP_GET) {
        frame_done(rx);
        int rc = tcp_rma_serve(ep, &rx->header, rx->segment);
        return rc < 0 ? rc : 2;
    }
    int rc = check_targets(ep);
    if (rc < 0)
        return rc;
    rx->data_left = rx->header.data_len;
    rx->await = TCP_AWAIT_DATA;
    return 1;
}

/* Copies what lies in buf to its targets; the rest will be read there directly. */
static int take_data(struct ros2_ep *ep)
{
    struct tcp_receive *rx = &ep->receive;

    while (rx->data_left > 0 && rx->end > rx->start) {
        struct iovec iov;
        bool whole;
        data_targets(ep, &iov, 1, &whole);
        size_t n = rx->end - rx->start < iov.iov_len ? rx->end - rx->start : iov.iov_len;
        memcpy(iov.iov_base, rx->buf + rx->start, n);
        rx->start += n;
        data_landed(ep, n);
    }
    if (rx->data_left > 0)
        return 0;
    if (rx->header.type == TCP_GET_DATA) {
        frame_done(rx);
        tcp_rma_complete(ep, &rx->header);
        return 2;
    }
    if (rx->header.message_len > 0) {
        rx->await = TCP_AWAIT_MESSAGE;
        return 1;
    }
    frame_done(rx);
    return 2;
}

static int take_message(struct ros2_ep *ep)
{
    struct tcp_receive *rx = &ep->receive;
    size_t len = rx->header.message_len;

    if (rx->end - rx->start < len)
        return 0;
    const uint8_t *msg = rx->buf + rx->start;
    rx->start += len;
    frame_done(rx);
    /* buf stays as it is until the handler returns, also when it ends ep. */
    if (ep->handler.message)
        ep->handler.message(ep->arg, ep, msg, len);
    return 2;
}

/* 0: needs more bytes; 1: a step was made; 2: and a frame is complete; negative: over. */
static int step(struct ros2_ep *ep)
{
    switch (ep->receive.await) {
    case TCP_AWAIT_PREAMBLE:
        return take_preamble(ep);
    case TCP_AWAIT_HEADER:
        return take_header(ep);
    case TCP_AWAIT_SEGMENTS:
        return take_segments(ep);
    case TCP_AWAIT_DATA:
        return take_data(ep);
    case TCP_AWAIT_MESSAGE:
        return take_message(ep);
    }
    return -EPROTO;
}

int tcp_receive_parse(struct ros2_ep *ep, int *frames_p)
{
    while (ep->state == TCP_EP_OPEN) {
        if (*frames_p <= 0)
            return ep->receive.end > ep->receive.start;
        int rc = step(ep);
        if (rc <= 0)
            return rc;
        if (rc == 2)
            --*frames_p;
    }
    return 0;
}
