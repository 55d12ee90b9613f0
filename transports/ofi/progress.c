/* SPDX-License-Identifier: Apache-2.0 */
/* One turn: connections that come and go, then completions, then those who are ready. What was received is delivered
 * before a connection ends: an end only marks the endpoint as down, and completions are read first. Owner: the domain's
 * thread. Always: completions of an endpoint that is closed are ignored; its memory stays until none can be left. */
#include "config.h"

#include "transports/ofi/progress.h"

#include <errno.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "transports/ofi/endpoint.h"
#include "transports/ofi/heartbeat.h"
#include "transports/ofi/linger.h"
#include "transports/ofi/listener.h"
#include "transports/ofi/message.h"

#define EVENTS_PER_TURN      256
#define BATCH                32
#define COMPLETIONS_PER_TURN 256

/* libfabric 1.17 takes the errno of an earlier call for that of a connection which the peer has closed, and EAGAIN for "not
 * yet": then such a connection stays in its set, readable for ever. So errno is cleared before each of its calls that look at
 * connections. */

/* -- connections -- */

static int event_error(struct ros2_domain *domain)
{
    uint8_t data[256]; /* without room for it libfabric leaks what the peer said */
    struct fi_eq_err_entry error = {.err_data = data, .err_data_size = sizeof data};

    if (fi_eq_readerr(domain->eq, &error, 0) < 0 || !error.fid)
        return 0;
    struct ros2_ep *ep = error.fid->context;
    if (ep->state == OFI_EP_LINGERING)
        ofi_linger_end(ep);
    else
        ofi_ep_down(ep, error.err ? -error.err : -ECONNRESET);
    return 1;
}

static int read_events(struct ros2_domain *domain)
{
    _Alignas(struct fi_eq_cm_entry) uint8_t entry[sizeof(struct fi_eq_cm_entry) + 256];
    struct fi_eq_cm_entry *cm = (void *)entry; /* the data of a connection follows it */
    int count = 0;

    while (count < EVENTS_PER_TURN) {
        uint32_t event;
        errno = 0;
        ssize_t n = fi_eq_read(domain->eq, &event, entry, sizeof entry, 0);
        if (n == -FI_EAVAIL) {
            count += event_error(domain);
            continue;
        }
        /* None, or a connection that could not be asked for: libfabric 1.17 does not say whose, so its deadline ends it
         * (heartbeat.c). What comes behind it keeps the descriptor readable. */
        if (n < (ssize_t)sizeof *cm)
            break;
        struct ros2_ep *ep = cm->fid->context;
        count++;
        if (event == FI_CONNECTED)
            ofi_ep_established(ep, cm->data, (size_t)n - sizeof *cm);
        else if (event == FI_SHUTDOWN && ep->state == OFI_EP_LINGERING)
            ofi_linger_end(ep);
        else if (event == FI_SHUTDOWN)
            ofi_ep_down(ep, -ECONNRESET);
    }
    return count;
}

/* -- completions -- */

static bool is_over(const struct ros2_ep *ep)
{
    return ep->state == OFI_EP_FREED || ep->state == OFI_EP_DEAD;
}

static void completed(struct ofi_work *work, size_t len)
{
    struct ros2_ep *ep = work->ep;

    if (is_over(ep))
        return;
    if (work->kind == OFI_WORK_RECEIVE) {
        /* A provider may tell of the first message before it tells that the connection stands. */
        if (ep->state == OFI_EP_ACCEPTING)
            ofi_ep_established(ep, NULL, 0);
        if (!is_over(ep))
            ofi_message_arrived(ep, work, len);
        return;
    }
    struct ros2_op *op = work->op;
    ep->answers++;
    ep->rma_count -= work->kind == OFI_WORK_RMA;
    ofi_ep_give_work(ep, work);
    ofi_ep_part_done(ep, op, 0);
    if (!ofi_backlog_empty(&ep->backlog) || ep->owed >= OFI_WINDOW / 2 ||
        ep->state == OFI_EP_LINGERING)
        ofi_message_pump(ep);
}

static void failed(struct ofi_queue *queue)
{
    struct fi_cq_err_entry error = {0};

    if (fi_cq_readerr(queue->cq, &error, 0) < 1 || !error.op_context)
        return;
    queue->completed++;
    struct ofi_work *work = error.op_context;
    struct ros2_ep *ep = work->ep;
    if (is_over(ep))
        return;
    if (ep->state == OFI_EP_LINGERING) {
        ofi_linger_end(ep);
        return;
    }
    if (error.err == FI_ETRUNC)
        ofi_ep_fail(ep, EPROTO, "it sent a fragment that is longer than agreed");
    ofi_ep_down(ep, error.err == FI_ETRUNC ? -EPROTO : -ECONNRESET);
}

/* A queue that cannot be read any more, as when its device is gone, takes its connections with it. */
static void give_up(struct ros2_domain *domain, struct ofi_queue *queue, int err)
{
    struct ros2_ep *ep;

    domain->host->fail(-err, "%s: completion queue: %s", domain->name, fi_strerror(-err));
    queue->broken = true;
    TAILQ_FOREACH(ep, &domain->eps, link)
    if (ep->queue == queue)
        ofi_ep_down(ep, -EIO);
}

static int read_completions(struct ros2_domain *domain, struct ofi_queue *queue)
{
    struct fi_cq_msg_entry entry[BATCH];
    int count = 0;

    while (count < COMPLETIONS_PER_TURN && !queue->broken) {
        ssize_t n = fi_cq_read(queue->cq, entry, BATCH);
        if (n == -FI_EAVAIL) {
            failed(queue);
            count++;
            continue;
        }
        if (n <= 0) {
            queue->drains += n == -FI_EAGAIN;
            if (n < 0 && n != -FI_EAGAIN)
                give_up(domain, queue, (int)n);
            break;
        }
        queue->completed += (uint64_t)n;
        for (ssize_t i = 0; i < n; i++)
            completed((struct ofi_work *)entry[i].op_context, entry[i].len);
        count += (int)n;
    }
    return count;
}

/* -- those who are ready -- */

static int run_ready(struct ros2_domain *domain)
{
    struct ros2_ep *ep;
    int turns = 0, count = 0;

    /* Those of now: who becomes ready meanwhile has its turn with the next call. */
    TAILQ_FOREACH(ep, &domain->ready, ready_link)
    turns++;
    while (turns-- > 0 && (ep = TAILQ_FIRST(&domain->ready)) != NULL) {
        TAILQ_REMOVE(&domain->ready, ep, ready_link);
        ep->in_ready = false;
        count += ofi_ep_run_done(ep);
        if (!ep->down || is_over(ep) || ep->state == OFI_EP_LINGERING)
            continue;
        if (ofi_mark_passed(&ep->ended)) {
            ofi_ep_die(ep, ep->error);
            count++;
        } else {
            ofi_ep_ready(ep);
        }
    }
    return count;
}

static void timer_fired(struct ros2_domain *domain)
{
    uint64_t expirations;

    if (domain->timer_ns == 0 || domain->host->now_ns() < domain->timer_ns)
        return;
    if (read(domain->timer_fd, &expirations, sizeof expirations) < 0)
        return; /* it is a moment behind our clock: it will wake us */
    domain->timer_ns = 0;
    ofi_linger_expire(domain, domain->host->now_ns());
    ofi_heartbeat(domain, domain->host->now_ns());
}

int ofi_progress(struct ros2_domain *domain)
{
    struct ros2_listener *listener, *next;
    int count = 0;

    ofi_domain_own(domain);
    if (domain->in_progress)
        return 0;
    domain->in_progress = true;
    ofi_domain_enter(domain);
    if (domain->woken) {
        eventfd_t value;
        (void)eventfd_read(domain->event_fd, &value);
        domain->woken = false;
    }
    timer_fired(domain);
    for (listener = TAILQ_FIRST(&domain->listeners); listener; listener = next) {
        next = TAILQ_NEXT(listener, link);
        count += ofi_listener_progress(listener);
    }
    int events = read_events(domain);
    count += events;
    /* A message must not be read before the event that its connection stands. */
    for (unsigned i = 0; events < EVENTS_PER_TURN && i < domain->queue_count; i++)
        count += read_completions(domain, &domain->queue[i]);
    count += run_ready(domain);
    domain->in_progress = false;
    ofi_domain_leave(domain);
    return count;
}
