/* SPDX-License-Identifier: Apache-2.0 */
/* Puts and gets as frames. A put is one frame whose message follows its data, so TCP itself keeps the order that the
 * interface promises. A get is a request, answered by a frame with the data; at most TCP_GETS_MAX are unanswered.
 * Owner: the domain's thread. Always: an op is in the queue (put), in the table (get) or in the done list, never in two. */
#include "config.h"

#include "transports/tcp/rma.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/tcp/endpoint.h"

#define INLINE_IOV 4

struct get {
    uint64_t id; /* 0: free */
    uint64_t len;
    struct ros2_op *op;
    struct iovec *into; /* inline_into, or more */
    struct iovec *more; /* TCP_SEGMENTS_MAX entries; made when first needed, then kept */
    struct iovec inline_into[INLINE_IOV];
};

struct tcp_gets {
    uint64_t serial;
    uint64_t busy; /* a bit for each slot */
    struct get slot[TCP_GETS_MAX];
};

_Static_assert(TCP_GETS_MAX == 64, "one bit of a word each");

/* -- what both directions check -- */

static int local_len(const struct iovec *iov, int count, uint64_t *len_p)
{
    uint64_t len = 0;

    if (count < 0 || count > TCP_SEGMENTS_MAX)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        if (len + iov[i].iov_len < len)
            return -EINVAL;
        len += iov[i].iov_len;
    }
    *len_p = len;
    return 0;
}

/* Checks what this side can know: the key's bounds and rights, and that the lengths add up to len. */
static int check_remote(const struct ros2_remote *remote, int count, uint32_t right, uint64_t len)
{
    if (count < 0 || count > TCP_SEGMENTS_MAX)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        const struct ros2_rkey *rkey = remote[i].rkey;
        if (rkey && (!(rkey->rights & right) || remote[i].offset > rkey->len ||
                     remote[i].len > rkey->len - remote[i].offset))
            return -EINVAL;
        if (remote[i].len > len)
            return -EINVAL;
        len -= remote[i].len;
    }
    return len == 0 ? 0 : -EINVAL;
}

static void encode_remote(const struct ros2_remote *remote, int count, uint8_t *bytes)
{
    for (int i = 0; i < count; i++) {
        struct tcp_segment segment = {
            .token = remote[i].rkey ? remote[i].rkey->token : remote[i].token,
            .offset = remote[i].offset,
            .len = remote[i].len,
        };
        tcp_segment_encode(&segment, bytes + i * TCP_SEGMENT_LEN);
    }
}

static int invalid(struct ros2_ep *ep, const char *verb)
{
    return ep->domain->host->fail(
        EINVAL,
        "%s: up to %d pieces a side, of equal length together, within the keys' bounds and "
        "rights, and an op",
        verb, TCP_SEGMENTS_MAX);
}

/* -- put -- */

int tcp_put(struct ros2_ep *ep, const struct iovec *src, int srccnt, const struct ros2_remote *dst,
            int dstcnt, const void *msg, size_t msg_len, struct ros2_op *op)
{
    uint64_t len;

    tcp_domain_own(ep->domain);
    if (!op || local_len(src, srccnt, &len) < 0 ||
        check_remote(dst, dstcnt, ROS2_REGION_REMOTE_WRITE, len) < 0)
        return invalid(ep, "put");
    if (msg_len > ep->domain->max_message)
        return -EMSGSIZE;
    size_t head = TCP_HEADER_LEN + (size_t)dstcnt * TCP_SEGMENT_LEN;
    int pieces = srccnt + (msg_len > 0);
    int rc = tcp_ep_room(ep, tcp_record_size(head, pieces, 0));
    if (rc < 0)
        return rc;
    struct tcp_record *record;
    rc = tcp_queue_append(&ep->queue, head, pieces, 0, head + len + msg_len, &record);
    if (rc < 0)
        return -EAGAIN; /* no memory for a longer queue: what is in it has to leave first */
    struct tcp_header header = {.type = TCP_PUT,
                                .segment_count = (uint8_t)dstcnt,
                                .message_len = (uint32_t)msg_len,
                                .data_len = len};
    tcp_header_encode(&header, tcp_record_bytes(record));
    encode_remote(dst, dstcnt, tcp_record_bytes(record) + TCP_HEADER_LEN);
    struct iovec *iov = tcp_record_iov(record);
    for (int i = 0; i < srccnt; i++)
        iov[i] = src[i];
    if (msg_len > 0)
        iov[srccnt] = (struct iovec){(void *)(uintptr_t)msg, msg_len};
    record->op = op;
    tcp_ep_queued(ep);
    return 0;
}

/* -- get, the asking side -- */

/* A free slot with its targets filled in. -EAGAIN. */
static int take_slot(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, struct get **get_p)
{
    if (!ep->gets) {
        ep->gets = calloc(1, sizeof *ep->gets);
        if (!ep->gets)
            return -EAGAIN;
    }
    if (ep->gets->busy == UINT64_MAX)
        return -EAGAIN;
    int slot = __builtin_ctzll(~ep->gets->busy);
    struct get *get = &ep->gets->slot[slot];
    get->into = get->inline_into;
    if (dstcnt > INLINE_IOV) {
        if (!get->more)
            get->more = malloc(TCP_SEGMENTS_MAX * sizeof *get->more);
        if (!get->more)
            return -EAGAIN;
        get->into = get->more;
    }
    for (int i = 0; i < dstcnt; i++)
        get->into[i] = dst[i];
    ep->gets->busy |= 1ull << slot;
    get->id = ++ep->gets->serial * TCP_GETS_MAX + (uint64_t)slot;
    *get_p = get;
    return 0;
}

static void free_slot(struct ros2_ep *ep, struct get *get)
{
    get->id = 0;
    get->op = NULL;
    ep->gets->busy &= ~(1ull << (get - ep->gets->slot));
}

int tcp_get(struct ros2_ep *ep, const struct iovec *dst, int dstcnt, const struct ros2_remote *src,
            int srccnt, struct ros2_op *op)
{
    uint64_t len;
    struct get *get;

    tcp_domain_own(ep->domain);
    if (!op || local_len(dst, dstcnt, &len) < 0 ||
        check_remote(src, srccnt, ROS2_REGION_REMOTE_READ, len) < 0)
        return invalid(ep, "get");
    size_t head = TCP_HEADER_LEN + (size_t)srccnt * TCP_SEGMENT_LEN;
    int rc = tcp_ep_room(ep, tcp_record_size(head, 0, 0));
    if (rc < 0)
        return rc;
    rc = take_slot(ep, dst, dstcnt, &get);
    if (rc < 0)
        return rc;
    struct tcp_record *record;
    rc = tcp_queue_append(&ep->queue, head, 0, 0, head, &record);
    if (rc < 0) {
        free_slot(ep, get);
        return -EAGAIN;
    }
    get->op = op;
    get->len = len;
    struct tcp_header header = {
        .type = TCP_GET, .segment_count = (uint8_t)srccnt, .data_len = len, .id = get->id};
    tcp_header_encode(&header, tcp_record_bytes(record));
    encode_remote(src, srccnt, tcp_record_bytes(record) + TCP_HEADER_LEN);
    tcp_ep_queued(ep);
    return 0;
}

static struct get *find(struct ros2_ep *ep, uint64_t id)
{
    if (!ep->gets || id == 0)
        return NULL;
    struct get *get = &ep->gets->slot[id % TCP_GETS_MAX];
    return get->id == id ? get : NULL;
}

int tcp_rma_answered(struct ros2_ep *ep, const struct tcp_header *header,
                     const struct iovec **into_p)
{
    struct get *get = find(ep, header->id);

    if (!get)
        return tcp_ep_fail(ep, EPROTO, "it answered a get that was not asked");
    if (get->len != header->data_len)
        return tcp_ep_fail(ep, EPROTO, "it answered a get with another length");
    *into_p = get->into;
    return 0;
}

void tcp_rma_complete(struct ros2_ep *ep, const struct tcp_header *header)
{
    /* tcp_rma_answered found it, and it stays while its data lands. */
    struct get *get = &ep->gets->slot[header->id % TCP_GETS_MAX];
    struct ros2_op *op = get->op;

    free_slot(ep, get);
    op->done(op, 0);
}

int tcp_rma_refused(struct ros2_ep *ep, const struct tcp_header *header)
{
    struct get *get = find(ep, header->id);

    if (!get)
        return tcp_ep_fail(ep, EPROTO, "it refused a get that was not asked");
    struct ros2_op *op = get->op;
    free_slot(ep, get);
    if (header->status == ERANGE)
        ep->domain->host->fail(ERANGE, "get: the peer has no such range in its region");
    else
        ep->domain->host->fail(EACCES, "get: the peer's region is gone, or not for reading");
    op->done(op, -(int)header->status);
    return 0;
}

void tcp_rma_cancel(struct ros2_ep *ep, int status)
{
    while (ep->gets && ep->gets->busy) {
        struct get *get = &ep->gets->slot[__builtin_ctzll(ep->gets->busy)];
        struct ros2_op *op = get->op;
        free_slot(ep, get);
        tcp_ep_done(ep, op, status);
    }
}

void tcp_rma_fini(struct ros2_ep *ep)
{
    if (!ep->gets)
        return;
    for (int i = 0; i < TCP_GETS_MAX; i++)
        free(ep->gets->slot[i].more);
    free(ep->gets);
    ep->gets = NULL;
}

/* -- get, the answering side -- */

int tcp_rma_serve(struct ros2_ep *ep, const struct tcp_header *header,
                  const struct tcp_segment *segment)
{
    struct tcp_header answer = {
        .type = TCP_GET_DATA, .data_len = header->data_len, .id = header->id};
    int count = header->segment_count;
    struct tcp_record *record;
    uint8_t *addr;

    if (ep->answers_owed >= TCP_GETS_MAX)
        return tcp_ep_fail(ep, EPROTO, "it has too many unanswered gets");
    for (int i = 0; i < header->segment_count; i++) {
        int rc =
            tcp_region_resolve(&ep->domain->regions, &segment[i], ROS2_REGION_REMOTE_READ, &addr);
        if (rc == 0)
            continue;
        answer = (struct tcp_header){
            .type = TCP_GET_ERROR, .id = header->id, .status = rc == -ERANGE ? ERANGE : EACCES};
        count = 0;
        break;
    }
    int rc = tcp_queue_append(&ep->queue, TCP_HEADER_LEN, 0, count,
                              TCP_HEADER_LEN + answer.data_len, &record);
    if (rc < 0)
        return tcp_ep_fail(ep, ENOMEM, "out of memory for an answer");
    tcp_header_encode(&answer, tcp_record_bytes(record));
    if (count > 0)
        memcpy(tcp_record_segment(record), segment, (size_t)count * sizeof *segment);
    record->answer = true;
    ep->answers_owed++;
    tcp_ep_queued(ep);
    return 0;
}
