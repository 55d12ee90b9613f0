/* SPDX-License-Identifier: Apache-2.0 */
/* Closing without losing what was said last. The user's endpoint is gone when ep_close returns; what is left of it
 * sends the copied messages that the socket did not take, says end of stream, and reads until the peer does the same:
 * a socket closed with unread bytes would be reset, and the peer might lose our last message. Owner: the domain's
 * thread. Always: nothing that lingers refers to memory of an op or a region. */
#include "config.h"

#include "transports/tcp/linger.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "transports/tcp/endpoint.h"
#include "transports/tcp/transmit.h"

#define LINGER_NS 5000000000ull
/* A peer that never hangs up cannot make us keep more descriptors than these. */
#define LINGER_MAX  256u
#define DRAIN_READS 16

void tcp_linger_end(struct ros2_ep *ep)
{
    ep->domain->linger_count--;
    tcp_ep_unlink(ep, true);
    tcp_ep_bury(ep);
}

/* Sends on; says end of stream once all is out. */
static void send_rest(struct ros2_ep *ep)
{
    tcp_transmit(ep, SIZE_MAX);
    /* Not one of those that progress serves. */
    tcp_list_remove(&ep->ready_link);
    tcp_list_remove(&ep->output_link);
    if (ep->error) {
        tcp_linger_end(ep);
        return;
    }
    if (ep->queue.count == 0)
        (void)shutdown(ep->fd, SHUT_WR);
    tcp_ep_interest(ep, ep->queue.count ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void tcp_linger_event(struct ros2_ep *ep, uint32_t events)
{
    if (events & EPOLLOUT && ep->queue.count) {
        ep->stuck = false;
        send_rest(ep);
        if (ep->state != TCP_EP_LINGERING)
            return;
    }
    for (int i = 0; i < DRAIN_READS; i++) {
        ssize_t n = recv(ep->fd, ep->domain->scratch, TCP_SCRATCH_LEN, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            tcp_linger_end(ep);
            return;
        }
    }
}

void tcp_linger_expire(struct ros2_domain *domain, uint64_t now_ns)
{
    while (!tcp_list_empty(&domain->lingering)) {
        struct ros2_ep *ep = TCP_CONTAINER(domain->lingering.next, struct ros2_ep, link);
        if (ep->linger_until_ns > now_ns) {
            tcp_domain_wake_at(domain, ep->linger_until_ns);
            return;
        }
        tcp_linger_end(ep);
    }
}

/* The first record that cannot outlive the user's endpoint, because bytes of it lie elsewhere. */
static struct tcp_record *first_borrowed(const struct ros2_ep *ep)
{
    struct tcp_record *record = tcp_queue_head(&ep->queue);

    while (record && !record->op && record->iov_count == 0 && record->segment_count == 0)
        record = tcp_queue_next(&ep->queue, record);
    return record;
}

void tcp_ep_close(struct ros2_ep *ep)
{
    struct ros2_domain *domain = ep->domain;

    tcp_domain_own(domain);
    if (ep->state != TCP_EP_OPEN || !ep->usable || ep->error || tcp_domain_forked(domain)) {
        tcp_ep_abort(ep);
        return;
    }
    tcp_domain_enter(domain);
    ep->stuck = false;
    tcp_transmit(ep, SIZE_MAX);
    tcp_ep_unlink(ep, false);
    ep->state = TCP_EP_LINGERING;
    tcp_ep_cancel(ep, first_borrowed(ep), -ECANCELED);
    if (domain->linger_count >= LINGER_MAX)
        tcp_linger_end(TCP_CONTAINER(domain->lingering.next, struct ros2_ep, link));
    ep->linger_until_ns = domain->host->now_ns() + LINGER_NS;
    tcp_list_append(&domain->lingering, &ep->link);
    domain->linger_count++;
    tcp_domain_wake_at(domain, ep->linger_until_ns);
    send_rest(ep);
    while (ep->done_first)
        tcp_ep_run_done(ep);
    tcp_domain_leave(domain);
}
