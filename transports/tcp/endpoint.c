/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: its life from connect or accept to the end, and the user's messages. Owner: the domain's thread.
 * Always: an endpoint is in one of the domain's lists eps, dead, lingering, graveyard; its ops complete before its user
 * hears of its end; its memory stays until the outermost call that may run callbacks has returned. */
#include "config.h"

#include "transports/tcp/endpoint.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "transports/tcp/rma.h"
#include "transports/tcp/transmit.h"

/* So much waiting, and it is sent without waiting for flush or progress. */
#define PUSH_LEN 65536u
/* What one endpoint may take of one call of progress, so that others get their turn. */
#define TURN_FRAMES 64
#define TURN_BYTES  (1u << 20)
/* See set_low_water(). */
#define BULK_MIN (128u << 10)
#define BULK_MAX (1u << 20)
/* Unacknowledged data, or probes of a silent connection, are given up after 15 s: where the last of these is set, it
 * takes the place of the number of probes. */
#define KEEPALIVE_IDLE_S     5
#define KEEPALIVE_INTERVAL_S 2
#define KEEPALIVE_PROBES     3
#define USER_TIMEOUT_MS      15000

/* -- making -- */

static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } option[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };

    /* Without one of them the connection still works: failures are no reason to refuse it. */
    for (size_t i = 0; i < sizeof option / sizeof option[0]; i++)
        (void)setsockopt(fd, option[i].level, option[i].name, &option[i].value,
                         sizeof option[i].value);
}

int tcp_ep_create(struct ros2_domain *domain, int fd, const union ip_address *peer,
                  enum tcp_ep_state state, struct ros2_ep **ep_p)
{
    struct ros2_ep *ep = calloc(1, sizeof *ep);
    int rc;

    if (!ep) {
        rc = domain->host->fail(ENOMEM, "tcp: out of memory for a connection");
        goto close_fd;
    }
    ep->source = TCP_SOURCE_EP;
    ep->state = state;
    ep->domain = domain;
    ep->fd = fd;
    ep->low_water = 1;
    ep->usable = state == TCP_EP_OPEN;
    ep->peer = *peer;
    tcp_list_init(&ep->ready_link);
    tcp_list_init(&ep->output_link);
    set_options(fd);
    ep->interest = state == TCP_EP_OPEN ? EPOLLIN : EPOLLIN | EPOLLOUT;
    rc = tcp_domain_watch(domain, fd, ep->interest, &ep->source);
    if (rc < 0)
        goto free_ep;
    tcp_list_append(&domain->eps, &ep->link);
    domain->ep_count++;
    domain->connecting += state == TCP_EP_CONNECTING;
    *ep_p = ep;
    return 0;
free_ep:
    free(ep);
close_fd:
    close(fd);
    return rc;
}

void tcp_ep_free(struct ros2_ep *ep)
{
    tcp_receive_fini(&ep->receive);
    tcp_queue_fini(&ep->queue);
    tcp_rma_fini(ep);
    free(ep);
}

int tcp_ep_greet(struct ros2_ep *ep)
{
    /* The socket's buffer is empty: it takes these few bytes whole, or the connection is broken. */
    ssize_t n = send(ep->fd, tcp_preamble, sizeof tcp_preamble, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n == (ssize_t)sizeof tcp_preamble)
        return 0;
    return n < 0 ? -errno : -ECONNRESET;
}

/* -- connecting -- */

int tcp_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p)
{
    union ip_address peer;
    struct ros2_ep *ep;

    tcp_domain_own(domain);
    if (ip_address_parse(address, &peer) < 0)
        return domain->host->fail(
            EINVAL, "tcp: connect %s: not an address; write HOST:PORT or [V6]:PORT with numbers",
            address);
    int fd = socket(peer.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return domain->host->fail(errno, "tcp: connect %s: socket: %s", address,
                                  strerrordesc_np(errno));
    int rc = tcp_ep_create(domain, fd, &peer, TCP_EP_CONNECTING, &ep);
    if (rc < 0)
        return rc;
    tcp_ep_set_handler(ep, handler, arg);
    /* A failure at once is told like a later one, by closed(). */
    if (connect(fd, &peer.any, ip_address_len(&peer)) < 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        ep->error = -errno;
        tcp_ep_ready(ep);
    }
    *ep_p = ep;
    return 0;
}

void tcp_ep_connect_done(struct ros2_ep *ep)
{
    int err = 0;
    socklen_t len = sizeof err;

    if (getsockopt(ep->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err) {
        tcp_ep_die(ep, -err);
        return;
    }
    ep->state = TCP_EP_OPEN;
    ep->domain->connecting--;
    tcp_ep_interest(ep, EPOLLIN);
    int rc = tcp_ep_greet(ep);
    if (rc < 0)
        tcp_ep_die(ep, rc);
}

void tcp_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg)
{
    tcp_domain_own(ep->domain);
    ep->handler = *handler;
    ep->arg = arg;
    ep->handled = true;
}

int tcp_ep_peer(struct ros2_ep *ep, char *buf, size_t len)
{
    tcp_domain_own(ep->domain);
    return ip_address_format(&ep->peer, buf, len);
}

/* -- sending -- */

int tcp_ep_room(struct ros2_ep *ep, size_t record_size)
{
    if (ep->state != TCP_EP_OPEN || !ep->usable || ep->error)
        return -ENOTCONN;
    if (record_size > ep->domain->send_queue)
        return -EMSGSIZE;
    /* Answers to the peer's gets are in the queue too, and may have taken it past its limit. */
    return ep->queue.used + record_size > ep->domain->send_queue && ep->queue.count > 0 ? -EAGAIN
                                                                                        : 0;
}

void tcp_ep_queued(struct ros2_ep *ep)
{
    if (tcp_list_empty(&ep->output_link) && !(ep->interest & EPOLLOUT))
        tcp_list_append(&ep->domain->output, &ep->output_link);
    if (ep->queue.wire_left >= PUSH_LEN && !ep->stuck)
        tcp_transmit(ep, TURN_BYTES);
}

int tcp_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op)
{
    struct tcp_record *record;
    size_t len = 0;

    tcp_domain_own(ep->domain);
    if (iovcnt < 0 || iovcnt > TCP_SEGMENTS_MAX)
        return ep->domain->host->fail(EINVAL, "send: up to %d pieces", TCP_SEGMENTS_MAX);
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > ep->domain->max_message - len)
            return -EMSGSIZE;
        len += iov[i].iov_len;
    }
    size_t byte_count = op ? TCP_HEADER_LEN : TCP_HEADER_LEN + len;
    int pieces = op ? iovcnt : 0;
    int rc = tcp_ep_room(ep, tcp_record_size(byte_count, pieces, 0));
    if (rc < 0)
        return rc;
    rc = tcp_queue_append(&ep->queue, byte_count, pieces, 0, TCP_HEADER_LEN + len, &record);
    if (rc < 0)
        return -EAGAIN; /* no memory for a longer queue: what is in it has to leave first */
    struct tcp_header header = {.type = TCP_MSG, .message_len = (uint32_t)len};
    uint8_t *bytes = tcp_record_bytes(record);
    tcp_header_encode(&header, bytes);
    bytes += TCP_HEADER_LEN;
    for (int i = 0; i < iovcnt; i++) {
        if (op) {
            tcp_record_iov(record)[i] = iov[i];
        } else if (iov[i].iov_len > 0) {
            memcpy(bytes, iov[i].iov_base, iov[i].iov_len);
            bytes += iov[i].iov_len;
        }
    }
    record->op = op;
    tcp_ep_queued(ep);
    return 0;
}

void tcp_flush(struct ros2_ep *ep)
{
    tcp_domain_own(ep->domain);
    if (ep->state == TCP_EP_OPEN)
        tcp_transmit(ep, SIZE_MAX);
}

void tcp_ep_interest(struct ros2_ep *ep, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &ep->source};

    if (ep->interest == events)
        return;
    if (epoll_ctl(ep->domain->epoll_fd, EPOLL_CTL_MOD, ep->fd, &event) == 0)
        ep->interest = events;
}

void tcp_ep_ready(struct ros2_ep *ep)
{
    if (tcp_list_empty(&ep->ready_link))
        tcp_list_append(&ep->domain->ready, &ep->ready_link);
}

/* -- receiving -- */

/* The socket has ended: which error does the user get? */
static void ended(struct ros2_ep *ep, int err)
{
    if (err == 0 && ep->error)
        err = ep->error;
    else if (err == 0)
        err = tcp_receive_between_frames(&ep->receive) ? -EPIPE : -ECONNRESET;
    tcp_ep_fail(ep, -err, err == -EPIPE ? "the peer has closed it" : strerrordesc_np(-err));
    tcp_ep_die(ep, err);
}

/* One read. Returns bytes, 0 when there are none now, -1 when ep has ended. *drained_p: it took all there was. */
static ssize_t read_some(struct ros2_ep *ep, bool *drained_p)
{
    struct iovec iov[TCP_RECEIVE_IOV];
    size_t want;
    int count = tcp_receive_vec(ep, iov, &want);
    ssize_t n;

    do {
        n = count == 1 ? recv(ep->fd, iov[0].iov_base, iov[0].iov_len, MSG_DONTWAIT)
                       : readv(ep->fd, iov, count);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        *drained_p = (size_t)n < want;
        tcp_receive_landed(ep, (size_t)n);
        return n;
    }
    if (n < 0 && errno == EAGAIN && !ep->error)
        return 0;
    ended(ep, n < 0 && errno != EAGAIN ? -errno : 0);
    return -1;
}

static int receive(struct ros2_ep *ep)
{
    int frames = TURN_FRAMES;
    size_t bytes = 0;
    bool drained = false;

    ep->backlog = false;
    for (;;) {
        int rc = tcp_receive_parse(ep, &frames);
        if (rc < 0 && ep->state == TCP_EP_OPEN)
            tcp_ep_die(ep, rc);
        if (ep->state != TCP_EP_OPEN)
            break;
        if (rc == 1) {
            ep->backlog = true;
            tcp_ep_ready(ep);
            break;
        }
        /* After an error all must be read, up to the end of the stream: come again until then. */
        if (drained && !ep->error)
            break;
        if (bytes >= TURN_BYTES || frames <= 0) {
            if (ep->error)
                tcp_ep_ready(ep);
            break;
        }
        ssize_t n = read_some(ep, &drained);
        if (n <= 0)
            return TURN_FRAMES - frames + (bytes > 0) + (n < 0);
        bytes += (size_t)n;
    }
    return TURN_FRAMES - frames + (bytes > 0);
}

/* epoll tells of ep when it has so many bytes, or its end. */
static void ask_for(struct ros2_ep *ep, int bytes)
{
    if (bytes == ep->low_water ||
        setsockopt(ep->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes) < 0)
        return;
    ep->domain->bulk += (bytes > 1) - (ep->low_water > 1);
    ep->low_water = bytes;
}

/* In the middle of a frame with much data a wake-up for each packet is waste, for both ends: it costs the sender more than the
 * copy of what it tells of, and the two fight for the socket's lock. So epoll is told to wait for all of it: one or two
 * system calls per BULK_MAX bytes. The kernel makes the socket's buffer large enough by itself. */
static void set_low_water(struct ros2_ep *ep)
{
    const struct tcp_receive *rx = &ep->receive;

    if (rx->await != TCP_AWAIT_DATA || rx->data_left < BULK_MIN || ep->error)
        ask_for(ep, 1);
    else
        ask_for(ep, rx->data_left < BULK_MAX ? (int)rx->data_left : (int)BULK_MAX);
}

int tcp_ep_receive(struct ros2_ep *ep)
{
    int events = receive(ep);

    if (ep->state == TCP_EP_OPEN)
        set_low_water(ep);
    return events;
}

/* -- ending -- */

int tcp_ep_fail(struct ros2_ep *ep, int err, const char *why)
{
    char peer[IP_ADDRESS_TEXT];

    if (ip_address_format(&ep->peer, peer, sizeof peer) < 0)
        peer[0] = 0;
    return ep->domain->host->fail(err, "tcp: connection with %s: %s", peer,
                                  why ? why : "unknown error");
}

void tcp_ep_done(struct ros2_ep *ep, struct ros2_op *op, int status)
{
    op->plugin[0] = 0;
    op->plugin[1] = (uint64_t)(int64_t)status;
    if (ep->done_last)
        ep->done_last->plugin[0] = (uint64_t)(uintptr_t)op;
    else
        ep->done_first = op;
    ep->done_last = op;
    tcp_ep_ready(ep);
}

int tcp_ep_run_done(struct ros2_ep *ep)
{
    struct ros2_op *last = ep->done_last;
    struct ros2_op *op;
    int count = 0;

    /* Up to the last one of now: a callback may complete more. When one of them ends ep, that runs the rest. */
    while ((op = ep->done_first) != NULL) {
        ep->done_first = (struct ros2_op *)(uintptr_t)op->plugin[0];
        if (!ep->done_first)
            ep->done_last = NULL;
        bool stop = op == last;
        count++;
        op->done(op, (int)(int64_t)op->plugin[1]);
        if (stop)
            break;
    }
    return count;
}

void tcp_ep_cancel(struct ros2_ep *ep, struct tcp_record *from, int status)
{
    if (from) {
        if (from == tcp_queue_head(&ep->queue))
            tcp_transmit_release(ep);
        for (struct tcp_record *r = from; r; r = tcp_queue_next(&ep->queue, r))
            if (r->op)
                tcp_ep_done(ep, r->op, status);
        tcp_queue_cut(&ep->queue, from);
    }
    tcp_rma_cancel(ep, status);
    /* An endpoint that is no longer served has its completions run by whoever ended it. */
    tcp_list_remove(&ep->ready_link);
}

void tcp_ep_unlink(struct ros2_ep *ep, bool close_fd)
{
    struct ros2_domain *domain = ep->domain;

    tcp_list_remove(&ep->link);
    tcp_list_remove(&ep->ready_link);
    tcp_list_remove(&ep->output_link);
    if (ep->state == TCP_EP_CONNECTING || ep->state == TCP_EP_OPEN)
        domain->ep_count--;
    ask_for(ep, 1);
    domain->connecting -= ep->state == TCP_EP_CONNECTING;
    if (close_fd && ep->fd >= 0) {
        tcp_domain_close_fd(domain, ep->fd);
        ep->fd = -1;
    }
}

void tcp_ep_bury(struct ros2_ep *ep)
{
    ep->state = TCP_EP_FREED;
    tcp_list_append(&ep->domain->graveyard, &ep->link);
}

/* What an op may be told. */
static int op_status(int err)
{
    return err == -EPIPE || err == -EPROTO ? err : -ECONNRESET;
}

void tcp_ep_die(struct ros2_ep *ep, int err)
{
    if (ep->state == TCP_EP_CONNECTING)
        tcp_ep_fail(ep, -err, strerrordesc_np(-err));
    tcp_ep_unlink(ep, true);
    ep->state = TCP_EP_DEAD;
    tcp_list_append(&ep->domain->dead, &ep->link);
    tcp_ep_cancel(ep, tcp_queue_head(&ep->queue), op_status(err));
    while (ep->done_first)
        tcp_ep_run_done(ep);
    if (ep->state == TCP_EP_DEAD && ep->handled && ep->handler.closed)
        ep->handler.closed(ep->arg, ep, err);
}

void tcp_ep_abort(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    tcp_domain_own(domain);
    if (ep->state == TCP_EP_FREED || ep->state == TCP_EP_LINGERING)
        return;
    tcp_domain_enter(domain);
    tcp_ep_unlink(ep, true);
    tcp_ep_bury(ep);
    tcp_ep_cancel(ep, tcp_queue_head(&ep->queue), -ECANCELED);
    while (ep->done_first)
        tcp_ep_run_done(ep);
    tcp_domain_leave(domain);
}
