/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's life. Owner: the queue's thread.
 *
 *  state            tick            connected       challenge      welcome   reject          lost
 *  BROKEN           connect (1)     -               -              -         -               -
 *  CONNECTING       give up (2)     AWAIT_CHALLENGE lost           lost      lost            BROKEN
 *  AWAIT_CHALLENGE  give up (2)     -               AWAIT_WELCOME  lost      (3)             BROKEN
 *  AWAIT_WELCOME    give up (2)     -               lost           READY     (3)             BROKEN
 *  READY            keepalive       -               lost           lost      (3)             BROKEN
 *  AWAIT_ATTACH     -               -               -              -         -               -
 *  FAILED           -               -               -              -         -               -
 *
 * (1) once the backoff is over and an operation waits. (2) after HANDSHAKE_NS. (3) AWAIT_ATTACH the first time, then
 * BROKEN, and FAILED once every address has refused (reconnect.c). "lost": the peer broke the protocol; as the event lost.
 * attached() leads from AWAIT_ATTACH to BROKEN or FAILED, and destroy() from anywhere to FAILED. Only step() sets the state,
 * and every state but FAILED has an edge back to BROKEN; whatever the state is, an operation ends at its deadline, since
 * its timer does not look at it. */
#include "config.h"

#include "lib/data/channel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"
#include "lib/base/secret.h"
#include "lib/data/keepalive.h"
#include "lib/data/lend.h"
#include "lib/data/quiesce.h"
#include "lib/data/reconnect.h"
#include "lib/data/reply.h"
#include "lib/data/request.h"

#define HANDSHAKE_NS (5 * ROS2I_NS_PER_S)

enum event_kind {
    EVENT_TICK,
    EVENT_CONNECTED,
    EVENT_CHALLENGE,
    EVENT_WELCOME,
    EVENT_REJECT,
    EVENT_LOST,
    EVENT_ATTACHED,
    EVENT_CLOSE,
};

struct event {
    enum event_kind kind;
    int err;                     /* LOST, ATTACHED */
    const struct ros2i_msg *msg; /* CHALLENGE, WELCOME, REJECT */
    const void *raw;
    size_t raw_len;
};

static const struct ros2_ep_handler handler;

static enum ros2i_channel_state start_connecting(struct ros2i_channel *ch)
{
    ch->timer_ns = ch->now_ns + HANDSHAKE_NS;
    const char *address = ch->address[ch->attempt % ch->address_count];
    int rc = ch->ops->connect(ch->domain, address, &handler, ch, &ch->ep);
    if (rc < 0) {
        ch->ep = NULL;
        return ros2i_reconnect_lost(ch, rc);
    }
    return ROS2I_CHANNEL_CONNECTING;
}

static enum ros2i_channel_state on_tick(struct ros2i_channel *ch)
{
    if (ch->now_ns < ch->timer_ns)
        return ch->state;
    switch (ch->state) {
    case ROS2I_CHANNEL_BROKEN:
        return ch->active > 0 ? start_connecting(ch) : ROS2I_CHANNEL_BROKEN;
    case ROS2I_CHANNEL_CONNECTING:
    case ROS2I_CHANNEL_AWAIT_CHALLENGE:
    case ROS2I_CHANNEL_AWAIT_WELCOME:
        return ros2i_reconnect_lost(
            ch, ros2i_fail(ETIMEDOUT, "no data channel within %llu s",
                           (unsigned long long)(HANDSHAKE_NS / ROS2I_NS_PER_S)));
    case ROS2I_CHANNEL_READY:
        return ros2i_keepalive_tick(ch);
    case ROS2I_CHANNEL_AWAIT_ATTACH:
    case ROS2I_CHANNEL_FAILED:
        break;
    }
    return ch->state;
}

static enum ros2i_channel_state on_connected(struct ros2i_channel *ch)
{
    ch->who.epoch++;
    int rc = ros2i_handshake_hello(&ch->handshake, &ch->who, ch->checksum);
    if (rc < 0)
        return ros2i_reconnect_lost(ch, rc);
    struct iovec iov = {ch->handshake.hello, ch->handshake.hello_len};
    rc = ch->ops->send(ch->ep, &iov, 1, NULL);
    if (rc < 0)
        return ros2i_reconnect_lost(ch, rc);
    ch->ops->flush(ch->ep);
    return ROS2I_CHANNEL_AWAIT_CHALLENGE;
}

static enum ros2i_channel_state on_challenge(struct ros2i_channel *ch, const struct event *event)
{
    uint8_t proof[ROS2I_HANDSHAKE_MESSAGE_MAX];
    struct ros2i_negotiated negotiated;
    int len = ros2i_handshake_proof(&ch->handshake, &ch->who, event->raw, event->raw_len,
                                    &event->msg->u.challenge, ch->checksum, proof, sizeof(proof),
                                    &negotiated);
    if (len == -EPROTONOSUPPORT)
        return ros2i_reconnect_give_up(ch, len);
    if (len < 0)
        return ros2i_reconnect_lost(ch, len);
    /* Requests wait to be replayed as they were cut: the same daemon must give the same limits. */
    if (ch->negotiated.credits != 0 &&
        memcmp(&negotiated, &ch->negotiated, sizeof(negotiated)) != 0)
        return ros2i_reconnect_lost(
            ch, ros2i_fail(EPROTO, "the daemon changed the channel's limits within a session"));
    struct iovec iov = {proof, (size_t)len};
    int rc = ch->ops->send(ch->ep, &iov, 1, NULL);
    ros2i_wipe(proof, sizeof(proof));
    if (rc < 0)
        return ros2i_reconnect_lost(ch, rc);
    ch->ops->flush(ch->ep);
    ch->offered = negotiated;
    return ROS2I_CHANNEL_AWAIT_WELCOME;
}

static enum ros2i_channel_state on_welcome(struct ros2i_channel *ch, const struct event *event)
{
    int rc = ros2i_handshake_welcome(&ch->handshake, &ch->who, event->msg->u.proof);
    if (rc < 0)
        return ros2i_reconnect_lost(ch, rc);
    /* Only now: an impostor's limits would be held against the session's daemon for ever. */
    if (ch->negotiated.credits == 0) {
        ch->negotiated = ch->offered;
        ros2i_inflight_open(&ch->inflight, ch->negotiated.credits);
    }
    ros2i_log(ROS2_LOG_DEBUG, "data",
              "channel ready queue %u epoch %llu credits %u inline %u max_io %u options 0x%x",
              ch->who.queue, (unsigned long long)ch->who.epoch, ch->negotiated.credits,
              ch->negotiated.inline_limit, ch->negotiated.max_io, ch->negotiated.options);
    ros2i_reconnect_done(ch);
    ros2i_keepalive_reset(ch);
    return ROS2I_CHANNEL_READY;
}

static enum ros2i_channel_state next_state(struct ros2i_channel *ch, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TICK:
        return on_tick(ch);
    case EVENT_LOST:
        return ch->ep ? ros2i_reconnect_lost(ch, event->err) : ch->state;
    case EVENT_ATTACHED:
        return ch->state == ROS2I_CHANNEL_AWAIT_ATTACH ? ros2i_reconnect_attached(ch, event->err)
                                                       : ch->state;
    case EVENT_CLOSE:
        return ros2i_reconnect_give_up(ch, event->err);
    case EVENT_CONNECTED:
        if (ch->state == ROS2I_CHANNEL_CONNECTING)
            return on_connected(ch);
        break;
    case EVENT_CHALLENGE:
        if (ch->state == ROS2I_CHANNEL_AWAIT_CHALLENGE)
            return on_challenge(ch, event);
        break;
    case EVENT_WELCOME:
        if (ch->state == ROS2I_CHANNEL_AWAIT_WELCOME)
            return on_welcome(ch, event);
        break;
    case EVENT_REJECT:
        if (ch->state != ROS2I_CHANNEL_CONNECTING)
            return ros2i_reconnect_rejected(ch, &event->msg->u.reject);
        break;
    }
    return ros2i_reconnect_lost(
        ch, ros2i_fail(EPROTO, "the daemon sent a handshake message out of turn"));
}

/* The only place where the state is set. */
static void step(struct ros2i_channel *ch, const struct event *event)
{
    ch->state = next_state(ch, event);
    assert((ch->ep != NULL) ==
           (ch->state >= ROS2I_CHANNEL_CONNECTING && ch->state <= ROS2I_CHANNEL_READY));
}

void ros2i_channel_lost(struct ros2i_channel *ch, int err)
{
    ch->wake = ch->lent; /* to connect again */
    step(ch, &(struct event){.kind = EVENT_LOST, .err = err});
}

void ros2i_channel_attached(struct ros2i_channel *ch, int rc)
{
    step(ch, &(struct event){.kind = EVENT_ATTACHED, .err = rc});
}

/* -- what the transport tells -- */

static void on_ep_connected(void *arg, struct ros2_ep *ep)
{
    struct ros2i_channel *ch = arg;
    if (ch->ep == ep)
        step(ch, &(struct event){.kind = EVENT_CONNECTED});
}

static void on_ep_closed(void *arg, struct ros2_ep *ep, int err)
{
    struct ros2i_channel *ch = arg;
    if (ch->ep != ep)
        return;
    ros2i_fail(-err, "connection to %s: %s", ch->address[ch->attempt % ch->address_count],
               ros2i_strerror(-err));
    step(ch, &(struct event){.kind = EVENT_LOST, .err = err});
}

static void on_ep_message(void *arg, struct ros2_ep *ep, const void *raw, size_t len)
{
    struct ros2i_channel *ch = arg;
    if (ch->ep != ep)
        return;
    struct ros2i_msg msg;
    struct event event = {.msg = &msg, .raw = raw, .raw_len = len};
    int rc = ros2i_wire_decode(raw, len, &msg);
    if (rc < 0) {
        ros2i_channel_lost(ch, rc);
        return;
    }
    ros2i_keepalive_heard(ch);
    switch (msg.type) {
    case ROS2I_MSG_REPLY:
    case ROS2I_MSG_PONG:
        rc = ch->state == ROS2I_CHANNEL_READY
                 ? ros2i_reply_handle(ch, &msg)
                 : ros2i_fail(EPROTO, "the daemon answered before the handshake ended");
        if (rc < 0)
            ros2i_channel_lost(ch, rc);
        return;
    case ROS2I_MSG_CHALLENGE:
        event.kind = EVENT_CHALLENGE;
        break;
    case ROS2I_MSG_WELCOME:
        event.kind = EVENT_WELCOME;
        break;
    case ROS2I_MSG_REJECT:
        event.kind = EVENT_REJECT;
        break;
    default:
        ros2i_channel_lost(
            ch, ros2i_fail(EPROTO, "the daemon sent a message of type %u, which only clients send",
                           msg.type));
        return;
    }
    step(ch, &event);
}

static const struct ros2_ep_handler handler = {
    .connected = on_ep_connected,
    .message = on_ep_message,
    .closed = on_ep_closed,
};

/* -- create, destroy -- */

int ros2i_channel_create(const struct ros2i_channel_options *options,
                         struct ros2i_channel **channel_p)
{
    struct ros2i_channel *ch = calloc(1, sizeof(*ch));
    if (!ch)
        return ros2i_fail(ENOMEM, "data channel: out of memory");
    ch->ops = options->ops;
    ch->address = options->address;
    ch->address_count = options->address_count;
    ch->checksum = options->checksum;
    /* Shared memory has no wire that could damage anything: checksums only for who insists. */
    if (ch->checksum == 0 && (ch->ops->flags & ROS2_TRANSPORT_MAP_PEER))
        ch->checksum = -1;
    ch->who.session = options->session;
    ch->who.queue = options->queue;
    ch->who.epoch = options->epoch;
    memcpy(ch->who.nonce, options->nonce, sizeof(ch->who.nonce));
    ch->state = ROS2I_CHANNEL_BROKEN;
    ros2i_timers_init(&ch->timers);

    uint32_t capacity = options->session->credits;
    if (capacity < 1)
        capacity = 1;
    if (capacity > ROS2I_WIRE_CREDITS_MAX)
        capacity = ROS2I_WIRE_CREDITS_MAX;
    int rc = ros2i_inflight_init(&ch->inflight, capacity, options->sequence);
    if (rc < 0)
        goto free_channel;
    if (ch->ops->flags & ROS2_TRANSPORT_MAP_PEER)
        rc = ros2i_shared_view_create(&ch->view);
    if (rc < 0)
        goto fini_inflight;
    struct ros2_domain_options domain_options = {
        .size = sizeof(domain_options),
        .host = options->host,
        .max_message = ROS2I_WIRE_MESSAGE_MAX,
        .peer = options->address_count > 0 ? options->address[0] : NULL,
        .memory = ch->view ? ros2i_shared_view_memory(ch->view) : NULL,
    };
    rc = ros2i_plugin_open_domain(ch->ops, &domain_options, &ch->domain);
    if (rc < 0)
        goto destroy_view;
    if (!(ch->ops->flags & ROS2_TRANSPORT_TOKENS))
        rc = ros2i_registered_make_pool(ch);
    if (rc < 0)
        goto close_domain;
    *channel_p = ch;
    return 0;
close_domain:
    ch->ops->domain_close(ch->domain);
destroy_view:
    ros2i_shared_view_destroy(ch->view);
fini_inflight:
    ros2i_inflight_fini(&ch->inflight);
free_channel:
    ros2i_timers_fini(&ch->timers);
    free(ch);
    return rc;
}

static void free_channel(struct ros2i_channel *ch)
{
    ros2i_registered_fini(ch);
    ch->ops->domain_close(ch->domain);
    ros2i_timers_fini(&ch->timers);
    ros2i_inflight_fini(&ch->inflight);
    ros2i_shared_view_destroy(ch->view);
    ros2i_wipe(ch, sizeof(*ch));
    free(ch);
}

void ros2i_channel_destroy(struct ros2i_channel *ch)
{
    /* The caller may be another thread; what ends now is done by it. */
    ch->ops->domain_lend(ch->domain, 1);
    ros2i_lend_end_settled(ch);
    if (ch->active > 0)
        step(ch, &(struct event){.kind = EVENT_CLOSE,
                                 .err = ros2i_fail(ECANCELED, "the channel was closed")});
    /* Nothing waits to be sent that matters, so no ep_close(). Without a connection nothing keeps registered memory busy. */
    if (ch->ep)
        ch->ops->ep_abort(ch->ep);
    ch->ep = NULL;
    free_channel(ch);
}

void ros2i_channel_abandon(struct ros2i_channel *ch)
{
    /* Regions are this process's memory alone; the endpoint's socket is the parent's too, and only domain_close() knows
     * how to let go of it without a word on the wire. */
    for (uint32_t i = 0; i < ch->inflight.credits; i++)
        if (ch->inflight.slot[i].region)
            ch->ops->region_deregister(ch->inflight.slot[i].region);
    free_channel(ch);
}

void ros2i_channel_last(const struct ros2i_channel *ch, uint64_t *epoch_p, uint64_t *sequence_p)
{
    *epoch_p = ch->who.epoch;
    *sequence_p = ch->inflight.sequence;
}

/* -- operations -- */

void ros2i_channel_unqueue(struct ros2i_channel *ch, struct ros2i_op *op)
{
    if (!op->pending)
        return;
    ros2i_op_list_remove(&ch->pending, op);
    op->pending = false;
}

void ros2i_channel_settle(struct ros2i_channel *ch, struct ros2i_op *op)
{
    bool no_more = op->error != 0 || (op->len > 0 && op->issued >= op->limit);
    if (no_more)
        ros2i_channel_unqueue(ch, op);
    if (op->pieces > 0 || op->pending)
        return;
    if (ch->lent) {
        ros2i_op_list_append(&ch->settled, op);
        ch->wake = true;
        return;
    }
    ros2i_timers_disarm(&ch->timers, &op->timer);
    ros2i_op_conclude(op);
    op->phase = ROS2I_OP_DONE;
    op->channel = NULL;
    ch->active--;
    op->done(op);
}

int ros2i_channel_submit(struct ros2i_channel *ch, struct ros2i_op *op, uint64_t now_ns)
{
    ch->now_ns = now_ns;
    op->timer.fire = ros2i_quiesce_due;
    int rc = ros2i_timers_arm(&ch->timers, &op->timer, op->deadline_ns);
    if (rc < 0)
        return rc;
    op->phase = ROS2I_OP_ACTIVE;
    op->channel = ch;
    op->limit = op->len;
    op->grace_ns = ros2i_quiesce_grace_ns(now_ns, op->deadline_ns);
    op->pending = true;
    ros2i_op_list_append(&ch->pending, op);
    ch->active++;
    ros2i_keepalive_submitted(ch);
    return 0;
}

void ros2i_channel_cancel(struct ros2i_channel *ch, struct ros2i_op *op, uint64_t now_ns)
{
    ch->now_ns = now_ns;
    ros2i_lend_end_settled(ch); /* op may be one of them */
    ros2i_quiesce_cancel(ch, op);
}

bool ros2i_channel_push(struct ros2i_channel *ch)
{
    if (ch->state != ROS2I_CHANNEL_READY || ros2i_keepalive_stale(ch))
        return false;
    ros2i_request_issue(ch);
    return true;
}

int ros2i_channel_progress(struct ros2i_channel *ch, uint64_t now_ns)
{
    ch->now_ns = now_ns;
    int events = ros2i_lend_end_settled(ch);
    events += ch->ops->progress(ch->domain);
    events += ros2i_timers_run(&ch->timers, now_ns);
    step(ch, &(struct event){.kind = EVENT_TICK});
    if (ch->state == ROS2I_CHANNEL_READY)
        events += ros2i_request_issue(ch);
    else if (ch->state == ROS2I_CHANNEL_FAILED && ch->active > 0)
        events += ros2i_reconnect_fail_all(ch);
    return events;
}

uint64_t ros2i_channel_next_ns(const struct ros2i_channel *ch)
{
    uint64_t next = ros2i_timers_next(&ch->timers);
    if (ch->pool && ch->pool->refused && ch->inflight.queued > 0 && ch->registered.ask_ns < next)
        next = ch->registered.ask_ns;
    bool state_waits = ch->state != ROS2I_CHANNEL_AWAIT_ATTACH &&
                       ch->state != ROS2I_CHANNEL_FAILED && ch->active > 0;
    return state_waits && ch->timer_ns < next ? ch->timer_ns : next;
}

int ros2i_channel_fd(struct ros2i_channel *ch)
{
    return ch->ops->domain_fd(ch->domain);
}

int ros2i_channel_arm(struct ros2i_channel *ch)
{
    return ch->ops->domain_arm(ch->domain);
}

int ros2i_channel_send(struct ros2i_channel *ch, const struct ros2i_msg *msg)
{
    uint8_t buf[ROS2I_HANDSHAKE_MESSAGE_MAX];
    int len = ros2i_wire_encode(msg, buf, sizeof(buf));
    if (len < 0)
        return len;
    struct iovec iov = {buf, (size_t)len};
    return ch->ops->send(ch->ep, &iov, 1, NULL);
}
