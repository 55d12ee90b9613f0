/* SPDX-License-Identifier: Apache-2.0 */
/* The sending half of an endpoint: many frames leave with one system call, borrowed bytes straight from where they
 * lie. Owner: the domain's thread. Always: only the head of the queue can be half out, and only then does an answer
 * hold its regions. */
#include "config.h"

#include "transports/tcp/transmit.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "transports/tcp/endpoint.h"

#define GATHER_IOV 64
/* Bytes for one system call: enough to make its cost vanish, and the peer starts before all is copied. */
#define GATHER_BYTES (1u << 20)

struct gather {
    struct iovec iov[GATHER_IOV];
    int count;
    size_t len;
    uint64_t skip; /* bytes that are out already */
};

/* false: the gather is full. */
static bool add(struct gather *g, const void *addr, uint64_t len)
{
    if (g->skip >= len) {
        g->skip -= len;
        return true;
    }
    if (g->count == GATHER_IOV || g->len >= GATHER_BYTES)
        return false;
    uint64_t rest = len - g->skip;
    size_t part = rest < GATHER_BYTES - g->len ? rest : GATHER_BYTES - g->len;
    g->iov[g->count].iov_base = (uint8_t *)(uintptr_t)addr + g->skip;
    g->iov[g->count++].iov_len = part;
    g->len += part;
    g->skip = 0;
    return part == rest;
}

/* The region of an answer that has not begun is gone: the answer becomes a refusal. */
static void refuse(struct tcp_queue *queue, struct tcp_record *record)
{
    uint8_t *bytes = tcp_record_bytes(record);
    struct tcp_header header = {
        .type = TCP_GET_ERROR, .id = tcp_load64(bytes + 16), .status = EACCES};

    tcp_header_encode(&header, bytes);
    queue->wire_left -= record->wire_len - TCP_HEADER_LEN;
    record->wire_len = TCP_HEADER_LEN;
    record->segment_count = 0;
}

static bool regions_live(const struct ros2_ep *ep, struct tcp_record *record)
{
    const struct tcp_segment *segment = tcp_record_segment(record);
    uint8_t *addr;

    for (int i = 0; i < record->segment_count; i++)
        if (tcp_region_resolve(&ep->domain->regions, &segment[i], ROS2_REGION_REMOTE_READ, &addr) <
            0)
            return false;
    return true;
}

static bool add_record(struct ros2_ep *ep, struct gather *g, struct tcp_record *record)
{
    if (record->segment_count && !record->begun && !regions_live(ep, record))
        refuse(&ep->queue, record);
    if (!add(g, tcp_record_bytes(record), record->byte_count))
        return false;
    const struct iovec *iov = tcp_record_iov(record);
    for (int i = 0; i < record->iov_count; i++)
        if (!add(g, iov[i].iov_base, iov[i].iov_len))
            return false;
    const struct tcp_segment *segment = tcp_record_segment(record);
    for (int i = 0; i < record->segment_count; i++) {
        uint8_t *addr = NULL;
        tcp_region_resolve(&ep->domain->regions, &segment[i], ROS2_REGION_REMOTE_READ, &addr);
        if (!add(g, addr, segment[i].len))
            return false;
    }
    return true;
}

static void hold(struct ros2_ep *ep, struct tcp_record *record, int change)
{
    const struct tcp_segment *segment = tcp_record_segment(record);

    for (int i = 0; i < record->segment_count; i++)
        tcp_region_hold(&ep->domain->regions, &segment[i], change);
}

void tcp_transmit_release(struct ros2_ep *ep)
{
    struct tcp_record *record = tcp_queue_head(&ep->queue);

    if (record && record->begun) {
        hold(ep, record, -1);
        record->begun = false;
    }
}

/* n more bytes are out. */
static void sent(struct ros2_ep *ep, uint64_t n)
{
    struct tcp_queue *queue = &ep->queue;
    struct tcp_record *record;

    while (n > 0 && (record = tcp_queue_head(queue)) != NULL) {
        uint64_t left = record->wire_len - queue->sent;
        uint64_t part = n < left ? n : left;
        queue->sent += part;
        queue->wire_left -= part;
        n -= part;
        if (part < left) {
            if (!record->begun)
                hold(ep, record, 1);
            record->begun = true;
            return;
        }
        tcp_transmit_release(ep);
        if (record->answer)
            ep->answers_owed--;
        if (record->op)
            tcp_ep_done(ep, record->op, 0);
        tcp_queue_pop(queue);
    }
}

int tcp_transmit(struct ros2_ep *ep, size_t budget)
{
    int calls = 0;

    while (ep->queue.count > 0 && budget > 0 && !ep->stuck && !ep->error) {
        struct gather g; /* its pieces are set as they are added */
        g.count = 0;
        g.len = 0;
        g.skip = ep->queue.sent;
        for (struct tcp_record *r = tcp_queue_head(&ep->queue); r;
             r = tcp_queue_next(&ep->queue, r))
            if (!add_record(ep, &g, r))
                break;
        struct msghdr msg = {.msg_iov = g.iov, .msg_iovlen = (size_t)g.count};
        ssize_t n = sendmsg(ep->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
                ep->stuck = true;
            } else {
                /* What the peer sent before it went away is still to be read: progress ends it after that. */
                ep->error = -errno;
                tcp_ep_ready(ep);
            }
            break;
        }
        sent(ep, (uint64_t)n);
        calls++;
        ep->stuck = (size_t)n < g.len;
        budget -= (size_t)n < budget ? (size_t)n : budget;
    }
    if (ep->queue.count == 0) {
        tcp_list_remove(&ep->output_link);
        if (ep->interest & EPOLLOUT)
            tcp_ep_interest(ep, EPOLLIN);
    }
    return calls;
}
