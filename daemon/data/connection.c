/* SPDX-License-Identifier: Apache-2.0 */
/* Data channels, from accept to their end. Owner: the data thread.
 *
 *   AWAIT_HELLO -> AWAIT_PROOF -> [AWAIT_FENCE ->] READY -> DOOMED
 *   Every state -> DOOMED: the peer is gone or broke the protocol, the handshake timed out, the session was closed, a newer
 *   epoch took over, the daemon drains. Doomed connections are closed by the loop, never from a callback. */
#include "config.h"

#include "daemon/data/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/handshake.h"
#include "daemon/data/thread.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define UNPROVED_MAX 512 /* of one data thread; the oldest makes room for the next */

/* -- lists -- */

/* Two lists: unproved ones from the oldest to the newest, and the others. */
static void list_remove(struct ros2d_connection *c)
{
    struct ros2d_thread *thread = c->thread;

    if (c->prev)
        c->prev->next = c->next;
    else if (thread->unproved_oldest == c)
        thread->unproved_oldest = c->next;
    else
        thread->connections = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else if (thread->unproved_newest == c)
        thread->unproved_newest = c->prev;
}

static void list_append_unproved(struct ros2d_connection *c)
{
    struct ros2d_thread *thread = c->thread;

    c->prev = thread->unproved_newest;
    if (c->prev)
        c->prev->next = c;
    else
        thread->unproved_oldest = c;
    thread->unproved_newest = c;
    thread->unproved_count++;
}

static void move_to_proved(struct ros2d_connection *c)
{
    struct ros2d_thread *thread = c->thread;

    list_remove(c);
    thread->unproved_count--;
    c->proved = true;
    c->prev = NULL;
    c->next = thread->connections;
    if (c->next)
        c->next->prev = c;
    thread->connections = c;
}

/* -- life -- */

void ros2d_connection_doom(struct ros2d_connection *c, const char *why)
{
    if (c->state == ROS2D_CONNECTION_DOOMED)
        return;
    if (why && ros2d_thread_may_log(c->thread))
        ros2i_log(ROS2_LOG_WARN, "data", "channel closed peer %s state %d: %s: %s", c->peer,
                  (int)c->state, why, ros2i_error());
    c->state = ROS2D_CONNECTION_DOOMED;
    c->doomed_next = c->thread->doomed;
    c->thread->doomed = c;
}

/* The only place that moves a connection on. next: a state, or < 0: the peer broke the protocol. */
static void step(struct ros2d_connection *c, int next)
{
    if (c->state == ROS2D_CONNECTION_DOOMED)
        return;
    if (next < 0) {
        ros2d_connection_doom(c, "protocol");
        return;
    }
    if (next == ROS2D_CONNECTION_DOOMED) {
        ros2d_connection_doom(c, "refused");
        return;
    }
    if (next >= ROS2D_CONNECTION_AWAIT_FENCE && c->state < ROS2D_CONNECTION_AWAIT_FENCE) {
        ros2i_timers_disarm(&c->thread->timers, &c->timer);
        move_to_proved(c);
    }
    c->state = (enum ros2d_connection_state)next;
}

static void handshake_timed_out(struct ros2i_timer *timer)
{
    struct ros2d_connection *c =
        (struct ros2d_connection *)((char *)timer - offsetof(struct ros2d_connection, timer));

    ros2i_fail(ETIMEDOUT, "no handshake within %u ms",
               c->thread->config->data.handshake_timeout_ms);
    ros2d_connection_doom(c, "handshake");
}

void ros2d_connection_accept(struct ros2d_thread *thread, struct ros2_ep *ep)
{
    struct ros2d_connection *c;

    if (thread->draining || thread->connection_count >= thread->config->data.max_channels) {
        if (!thread->draining && ros2d_thread_may_log(thread))
            ros2i_log(ROS2_LOG_WARN, "data",
                      "channel refused: %u are open; raise data.max_channels",
                      thread->connection_count);
        thread->count.refused++;
        thread->transport->ep_abort(ep);
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        thread->transport->ep_abort(ep);
        return;
    }
    c->thread = thread;
    c->ep = ep;
    c->state = ROS2D_CONNECTION_AWAIT_HELLO;
    if (thread->transport->ep_peer(ep, c->peer, sizeof(c->peer)) < 0)
        snprintf(c->peer, sizeof(c->peer), "unknown");
    c->timer.fire = handshake_timed_out;
    if (ros2i_timers_arm(&thread->timers, &c->timer,
                         ros2i_now_ns() +
                             thread->config->data.handshake_timeout_ms * ROS2I_NS_PER_MS) < 0) {
        thread->transport->ep_abort(ep);
        free(c);
        return;
    }
    list_append_unproved(c);
    thread->connection_count++;
    thread->count.channels++;
    thread->transport->ep_set_handler(ep, &ros2d_connection_handler, c);
    if (thread->unproved_count > UNPROVED_MAX)
        ros2d_connection_doom(thread->unproved_oldest, NULL);
}

static void release_rkeys(struct ros2d_connection *c)
{
    for (int i = 0; i < ROS2D_RKEYS; i++) {
        if (c->rkey[i].rkey)
            c->thread->transport->rkey_release(c->rkey[i].rkey);
        c->rkey[i].rkey = NULL;
    }
}

static void destroy(struct ros2d_connection *c)
{
    struct ros2d_thread *thread = c->thread;
    struct ros2d_queue_state *queue = c->queue;

    if (c->graceful)
        thread->transport->ep_close(c->ep);
    else
        thread->transport->ep_abort(c->ep); /* completes every op: no piece is moving afterwards */
    if (c->queue)
        ros2d_requests_orphan(c);
    assert(!c->active && !c->waiting.first);
    release_rkeys(c);
    ros2i_timers_disarm(&thread->timers, &c->timer);
    list_remove(c);
    if (!c->proved)
        thread->unproved_count--;
    thread->connection_count--;
    if (queue && queue->connection == c)
        queue->connection = NULL;
    if (c->superseded) {
        queue->orphans--;
        ros2d_connection_fence_passed(queue);
    }
    if (queue) {
        atomic_fetch_sub_explicit(&c->session->channels, 1, memory_order_relaxed);
        ros2d_sessions_touch(thread->state->sessions, c->session); /* its lifetime starts now */
        ros2d_queue_state_settle(&thread->queues, queue);
    }
    if (c->session)
        ros2d_session_put(c->session);
    ros2i_wipe(c, sizeof(*c));
    free(c);
}

int ros2d_connections_reap(struct ros2d_thread *thread)
{
    int count = 0;

    while (thread->doomed) {
        struct ros2d_connection *c = thread->doomed;

        thread->doomed = c->doomed_next;
        destroy(c);
        count++;
    }
    return count;
}

/* A newer epoch proved itself: nothing of this channel is answered any more. What it has in the engine becomes orphans now,
 * before the fence is looked at; the endpoint itself goes with the other doomed ones. */
void ros2d_connection_supersede(struct ros2d_connection *c)
{
    struct ros2d_queue_state *queue = c->queue;

    ros2i_fail(ESTALE, "a newer epoch of its queue took over");
    ros2d_connection_doom(c, NULL);
    c->graceful = false;
    queue->orphans++; /* the channel itself, until it is closed */
    c->superseded = true;
}

void ros2d_connection_fence_passed(struct ros2d_queue_state *queue)
{
    struct ros2d_connection *c = queue->connection;

    if (queue->orphans > 0)
        return;
    if (c && c->state == ROS2D_CONNECTION_AWAIT_FENCE)
        step(c, ros2d_handshake_welcome(c));
}

void ros2d_connections_close_session(struct ros2d_thread *thread, struct ros2d_session *session)
{
    for (struct ros2d_connection *c = thread->connections; c; c = c->next) {
        if (c->session == session) {
            ros2d_connection_doom(c, NULL);
            c->graceful = false;
        }
    }
    ros2d_queue_states_drop_session(&thread->queues, session);
}

void ros2d_connections_drain(struct ros2d_thread *thread, bool force)
{
    for (struct ros2d_connection *c = thread->unproved_oldest; c; c = c->next)
        ros2d_connection_doom(c, NULL);
    for (struct ros2d_connection *c = thread->connections; c; c = c->next) {
        if (!force && c->active_count > 0)
            continue;
        if (c->state != ROS2D_CONNECTION_DOOMED)
            c->graceful = !force; /* replies that are queued still go out */
        ros2d_connection_doom(c, NULL);
    }
}

/* -- messages -- */

static int answer_ping(struct ros2d_connection *c, const struct ros2i_msg *ping)
{
    struct ros2i_msg pong = {
        .type = ROS2I_MSG_PONG, .request_id = ping->request_id, .u.opaque = ping->u.opaque};
    uint8_t buf[ROS2I_WIRE_HEADER_LEN + 8];
    struct iovec iov = {.iov_base = buf};
    int rc = ros2i_wire_encode(&pong, buf, sizeof(buf));

    if (rc < 0)
        return rc;
    iov.iov_len = (size_t)rc;
    rc = c->thread->transport->send(c->ep, &iov, 1, NULL);
    return rc == -EAGAIN ? 0 : rc; /* a peer that reads nothing needs no answer */
}

static int on_ready_message(struct ros2d_connection *c, const struct ros2i_msg *msg)
{
    if (atomic_load_explicit(&c->session->closed, memory_order_acquire))
        return ros2i_fail(ESHUTDOWN, "the session was closed");
    switch (msg->type) {
    case ROS2I_MSG_READ:
    case ROS2I_MSG_WRITE:
    case ROS2I_MSG_FSYNC:
        return ros2d_request_begin(c, msg);
    case ROS2I_MSG_CANCEL:
        ros2d_request_cancel(c, msg->u.target_id);
        return 0;
    case ROS2I_MSG_PING:
        return answer_ping(c, msg);
    default:
        return ros2i_fail(EPROTO, "message of type %u on a channel that is ready", msg->type);
    }
}

static void on_message(void *arg, struct ros2_ep *ep, const void *raw, size_t len)
{
    struct ros2d_connection *c = arg;
    struct ros2i_msg msg;
    int rc;

    (void)ep;
    if (c->state == ROS2D_CONNECTION_DOOMED)
        return;
    rc = ros2i_wire_decode(raw, len, &msg);
    if (rc < 0) {
        step(c, rc);
        return;
    }
    switch (c->state) {
    case ROS2D_CONNECTION_AWAIT_HELLO:
        step(c, msg.type == ROS2I_MSG_HELLO
                    ? ros2d_handshake_hello(c, &msg, raw, len)
                    : ros2i_fail(EPROTO, "message of type %u before HELLO", msg.type));
        break;
    case ROS2D_CONNECTION_AWAIT_PROOF:
        step(c, msg.type == ROS2I_MSG_PROOF
                    ? ros2d_handshake_proof(c, &msg)
                    : ros2i_fail(EPROTO, "message of type %u before PROOF", msg.type));
        break;
    case ROS2D_CONNECTION_READY:
        rc = on_ready_message(c, &msg);
        if (rc < 0)
            step(c, rc);
        break;
    default:
        step(c, ros2i_fail(EPROTO, "message of type %u before WELCOME", msg.type));
    }
}

static void on_closed(void *arg, struct ros2_ep *ep, int err)
{
    struct ros2d_connection *c = arg;

    (void)ep;
    c->graceful = false;
    if (err == -EPROTO) {
        ros2i_fail(EPROTO, "the peer broke the transport's protocol");
        ros2d_connection_doom(c, "transport");
    } else {
        ros2d_connection_doom(c, NULL); /* peers come and go */
    }
}

const struct ros2_ep_handler ros2d_connection_handler = {
    .message = on_message,
    .closed = on_closed,
};

/* -- registered regions -- */

static struct ros2d_rkey_entry *rkey_entry(struct ros2d_connection *c, uint64_t region_id)
{
    struct ros2d_rkey_entry *unused = NULL;

    for (int i = 0; i < ROS2D_RKEYS; i++) {
        if (c->rkey[i].rkey && c->rkey[i].region_id == region_id)
            return &c->rkey[i];
        if (c->rkey[i].users == 0)
            unused = &c->rkey[i];
    }
    return unused;
}

static int check_region(const struct ros2d_connection *c, const struct ros2d_region *region,
                        const struct ros2i_segment *segment, uint32_t right)
{
    if (memcmp(region->process_nonce, c->nonce, sizeof(c->nonce)) != 0 ||
        region->queue != c->queue_number ||
        strcmp(region->transport, c->thread->transport->name) != 0)
        return ros2i_fail(EACCES, "the region belongs to another channel");
    if (!(region->rights & right))
        return ros2i_fail(EACCES, "the region's rights do not allow it");
    if (segment->offset > region->len || segment->len > region->len - segment->offset)
        return ros2i_fail(ERANGE, "the segment is not inside its region");
    return 0;
}

/* Takes the table's mutex for each use: registered regions are few and large, and only this keeps Unregister's promise that
 * nothing is in flight when it returns. */
int ros2d_connection_region(struct ros2d_connection *c, const struct ros2i_segment *segment,
                            uint32_t right, struct ros2_rkey **rkey_p)
{
    struct ros2d_regions *regions = c->thread->state->regions;
    struct ros2d_region region;
    struct ros2d_rkey_entry *entry;
    int rc = ros2d_regions_acquire(regions, c->session, segment->id, &region);

    if (rc < 0)
        return rc;
    rc = check_region(c, &region, segment, right);
    if (rc < 0)
        goto release;
    entry = rkey_entry(c, segment->id);
    if (!entry) {
        rc = ros2i_fail(ENOBUFS, "more than %d regions in use on one channel", ROS2D_RKEYS);
        goto release;
    }
    if (!entry->rkey || entry->region_id != segment->id) {
        struct ros2_rkey *rkey;

        rc = c->thread->transport->rkey_import(c->ep, region.key, region.key_len, &rkey);
        if (rc < 0)
            goto release;
        if (entry->rkey)
            c->thread->transport->rkey_release(entry->rkey);
        entry->rkey = rkey;
        entry->region_id = segment->id;
    }
    entry->users++;
    *rkey_p = entry->rkey;
    return 0;
release:
    ros2d_regions_release(regions, segment->id);
    return rc;
}
