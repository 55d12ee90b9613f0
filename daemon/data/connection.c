/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's life. Owner: its data thread.
 *
 *  state        HELLO        PROOF                        request   fence open   deadline  peer gone, session closed
 *  AWAIT_HELLO  AWAIT_PROOF  breach                       breach    -            end       end
 *  AWAIT_PROOF  breach       AWAIT_FENCE, READY or reject breach    -            end       end
 *  AWAIT_FENCE  breach       breach                       breach    READY        -         end
 *  READY        breach       breach                       served    -            stalled   end
 *
 * Only step() and ros2d_connection_end() set the state. An ended connection stays in memory until the end of the turn,
 * since callers up the stack may still hold it. */
#include "config.h"

#include "daemon/data/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/request.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"

#define UNPROVED_MAX \
    256 /* above, the oldest goes: a flood of silent connections cannot keep others out for long */

/* A connection whose transfers stand still is looked at this often, in case that others come to need its memory. */
#define STALL_LOOK_MS 1000u

static bool is_unproved(const struct ros2d_connection *conn)
{
    return conn->state == ROS2D_AWAIT_HELLO || conn->state == ROS2D_AWAIT_PROOF;
}

/* -- the end -- */

static void leave_queue(struct ros2d_connection *conn)
{
    struct ros2d_queue_state *queue = conn->queue;

    if (!queue)
        return;
    conn->queue = NULL;
    if (queue->live == conn)
        queue->live = NULL;
    if (queue->fenced == conn)
        queue->fenced = NULL;
    ros2d_queues_settle(&conn->thread->queues, queue);
}

static void leave_session(struct ros2d_connection *conn, bool proved)
{
    struct ros2d_session *session = conn->session;

    if (!session)
        return;
    conn->session = NULL;
    if (proved) {
        /* Its time without a channel begins now. */
        ros2d_sessions_touch(conn->thread->state->sessions, session);
        atomic_fetch_sub_explicit(&session->channels, 1, memory_order_release);
        ros2d_count(&conn->thread->counters.channels, (uint64_t)-1);
    }
    ros2d_session_put(session);
}

static void leave_requests(struct ros2d_connection *conn)
{
    struct ros2d_list *next;

    for (struct ros2d_list *at = conn->requests.next; at != &conn->requests; at = next) {
        next = at->next;
        ros2d_request_orphan(ROS2D_CONTAINER(at, struct ros2d_request, link));
    }
    assert(conn->request_count == 0);
    ros2d_rkeys_fini(&conn->rkeys, conn->ops);
}

void ros2d_connection_end(struct ros2d_connection *conn, bool gracefully)
{
    struct ros2d_thread *thread = conn->thread;
    struct ros2_ep *ep = conn->ep;
    bool unproved = is_unproved(conn);

    if (conn->state == ROS2D_ENDED)
        return;
    conn->state = ROS2D_ENDED;
    conn->ep = NULL;
    conn->lane->connections--;
    ros2i_timers_disarm(&thread->timers, &conn->timer);
    ros2d_list_remove(&conn->link);
    ros2d_list_append(&thread->dead, &conn->link);
    if (unproved)
        thread->unproved_count--;
    else
        thread->proved_count--;
    leave_requests(conn);
    /* The transport's ops of orphaned requests complete here, or a little later when what is queued is still sent. */
    if (gracefully)
        conn->ops->ep_close(ep);
    else
        conn->ops->ep_abort(ep);
    leave_queue(conn);
    leave_session(conn, !unproved);
    ros2d_handshake_wipe(&conn->handshake);
}

void ros2d_connection_breach(struct ros2d_connection *conn)
{
    ros2d_count(&conn->thread->counters.broken, 1);
    ros2d_thread_complain(conn->thread, conn->peer, ros2i_error());
    ros2d_connection_end(conn, false);
}

void ros2d_connections_free_dead(struct ros2d_thread *thread)
{
    while (!ros2d_list_empty(&thread->dead)) {
        struct ros2d_connection *conn =
            ROS2D_CONTAINER(thread->dead.next, struct ros2d_connection, link);
        ros2d_list_remove(&conn->link);
        free(conn->slot);
        free(conn);
    }
}

bool ros2d_connection_is_busy(const struct ros2d_connection *conn)
{
    return conn->request_count > 0;
}

/* -- transfers -- */

/* The timer is not moved with each part: when it fires it looks at how long ago there was progress. */
static void on_stall(struct ros2i_timer *timer)
{
    struct ros2d_connection *conn = ROS2D_CONTAINER(timer, struct ros2d_connection, timer);
    struct ros2d_thread *thread = conn->thread;
    uint32_t timeout_ms = thread->state->config->data.stall_timeout_ms;
    uint64_t now_ns = ros2i_now_ns(), due_ns = conn->progress_ns + timeout_ms * ROS2I_NS_PER_MS;

    if (conn->on_wire == 0)
        return;
    if (now_ns >= due_ns && (ros2d_bounce_is_wanted(&thread->chunks, &conn->chunks_held) ||
                             ros2d_bounce_is_wanted(&thread->small, &conn->small_held))) {
        ros2i_fail(ETIMEDOUT,
                   "none of its transfers got on for %u ms while others wait for their memory; its "
                   "channel ends and it may come back (data.stall_timeout_ms)",
                   timeout_ms);
        ros2d_thread_complain(thread, conn->peer, ros2i_error());
        ros2d_connection_end(conn, false);
        return;
    }
    if (now_ns >= due_ns) /* nobody is held up by it yet */
        due_ns =
            now_ns + (timeout_ms < STALL_LOOK_MS ? timeout_ms : STALL_LOOK_MS) * ROS2I_NS_PER_MS;
    ros2i_timers_arm(&thread->timers, timer, due_ns); /* it has just left room for itself */
}

void ros2d_connection_wire_begun(struct ros2d_connection *conn)
{
    struct ros2d_thread *thread = conn->thread;

    if (conn->on_wire++ > 0)
        return;
    conn->progress_ns = ros2i_now_ns();
    if (conn->timer.index == 0) /* out of memory: without a deadline until the next one begins */
        (void)ros2i_timers_arm(&thread->timers, &conn->timer,
                               conn->progress_ns +
                                   thread->state->config->data.stall_timeout_ms * ROS2I_NS_PER_MS);
}

void ros2d_connection_wire_done(struct ros2d_connection *conn)
{
    conn->on_wire--;
    conn->progress_ns = ros2i_now_ns();
}

/* -- handshake -- */

static int send_bytes(struct ros2d_connection *conn, const void *bytes, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, len};

    return conn->ops->send(conn->ep, &iov, 1, NULL);
}

static enum ros2d_connection_state reject(struct ros2d_connection *conn, int err)
{
    uint8_t buf[ROS2D_REJECT_MAX];
    int len = ros2d_handshake_reject(err, ros2i_error(), buf, sizeof(buf));

    ros2d_count(&conn->thread->counters.rejected, 1);
    ros2d_thread_complain(conn->thread, conn->peer, ros2i_error());
    if (len > 0)
        send_bytes(conn, buf, (size_t)len);
    ros2d_connection_end(conn, true);
    return ROS2D_ENDED;
}

static enum ros2d_connection_state breach(struct ros2d_connection *conn)
{
    ros2d_connection_breach(conn);
    return ROS2D_ENDED;
}

static int find_session(struct ros2d_connection *conn, const struct ros2i_hello *hello)
{
    conn->session = ros2d_sessions_get(conn->thread->state->sessions, hello->session_id);
    if (!conn->session)
        return ros2i_random(conn->handshake.secret, sizeof(conn->handshake.secret));
    memcpy(conn->handshake.secret, conn->session->secret, sizeof(conn->handshake.secret));
    return 0;
}

static enum ros2d_connection_state on_hello(struct ros2d_connection *conn,
                                            const struct ros2i_msg *msg, const void *raw,
                                            size_t len)
{
    struct ros2d_thread *thread = conn->thread;
    int rc;

    if (thread->draining)
        return reject(conn, -ros2i_fail(ESHUTDOWN, "the daemon is ending"));
    if (thread->proved_count >= thread->state->config->data.max_channels)
        return reject(
            conn,
            -ros2i_fail(EBUSY,
                        "the daemon has all the channels that it may; try again later, or raise "
                        "data.max_channels"));
    rc = ros2d_handshake_challenge(&conn->handshake, thread->state->config, raw, len, &msg->u.hello,
                                   &conn->negotiated);
    if (rc == 0)
        rc = find_session(conn, &msg->u.hello);
    if (rc == 0)
        rc = send_bytes(conn, conn->handshake.challenge, conn->handshake.challenge_len);
    if (rc < 0)
        return reject(conn, -rc);
    return ROS2D_AWAIT_PROOF;
}

static enum ros2d_connection_state welcome(struct ros2d_connection *conn)
{
    uint8_t buf[ROS2D_HANDSHAKE_MESSAGE_MAX];
    int rc = ros2d_handshake_welcome(&conn->handshake, buf, sizeof(buf));

    ros2d_handshake_wipe(&conn->handshake);
    if (rc < 0)
        return reject(conn, -rc);
    conn->slot = calloc(conn->negotiated.credits, sizeof(*conn->slot));
    if (!conn->slot)
        return reject(conn, -ros2i_fail(ENOMEM, "the daemon is out of memory"));
    conn->queue->fenced = NULL;
    conn->queue->live = conn;
    send_bytes(conn, buf, (size_t)rc); /* fails only on a dying endpoint, whose closed() follows */
    ros2i_log(ROS2_LOG_DEBUG, "data",
              "channel ready peer %s session %llu queue %u epoch %llu credits %u", conn->peer,
              (unsigned long long)conn->session->serial, conn->queue->key.queue,
              (unsigned long long)conn->epoch, conn->negotiated.credits);
    return ROS2D_READY;
}

/* The HELLO as it was decoded before: our own copy of it. */
static void identity_of(const struct ros2d_connection *conn, struct ros2d_queue_key *key,
                        uint64_t *epoch_p)
{
    struct ros2i_msg msg;

    if (ros2i_wire_decode(conn->handshake.hello, conn->handshake.hello_len, &msg) < 0)
        assert(0);
    key->session_serial = conn->session->serial;
    memcpy(key->process_nonce, msg.u.hello.process_nonce, sizeof(key->process_nonce));
    key->queue = msg.u.hello.queue;
    *epoch_p = msg.u.hello.epoch;
}

static void become_proved(struct ros2d_connection *conn)
{
    struct ros2d_thread *thread = conn->thread;

    ros2i_timers_disarm(&thread->timers, &conn->timer);
    conn->timer.fire = on_stall;
    ros2d_list_remove(&conn->link);
    ros2d_list_append(&thread->proved, &conn->link);
    thread->unproved_count--;
    thread->proved_count++;
    atomic_fetch_add_explicit(&conn->session->channels, 1, memory_order_relaxed);
    ros2d_count(&thread->counters.channels, 1);
    conn->state = ROS2D_AWAIT_FENCE;
}

/* The fence: nothing of an older epoch is left that could take effect when this one is welcome. */
static enum ros2d_connection_state fence(struct ros2d_connection *conn)
{
    struct ros2d_queue_state *queue = conn->queue;

    queue->epoch = conn->epoch;
    if (queue->live)
        ros2d_connection_end(queue->live, false);
    if (queue->fenced)
        ros2d_connection_end(queue->fenced, false);
    queue->fenced = conn;
    ros2d_queues_settle(&conn->thread->queues, queue); /* no longer idle */
    return queue->in_engine > 0 ? ROS2D_AWAIT_FENCE : welcome(conn);
}

static enum ros2d_connection_state on_proof(struct ros2d_connection *conn,
                                            const struct ros2i_msg *msg)
{
    struct ros2d_queue_state *queue;
    struct ros2d_queue_key key;
    int rc = ros2d_handshake_check(&conn->handshake, msg->u.proof);

    if (rc == 0 &&
        (!conn->session || atomic_load_explicit(&conn->session->closed, memory_order_acquire)))
        rc = ros2i_fail(EACCES, "the session is unknown or ended, or its secret was not proved");
    if (rc < 0)
        return reject(conn, -rc);
    identity_of(conn, &key, &conn->epoch);
    rc = ros2d_queues_get(&conn->thread->queues, &key, &queue);
    if (rc < 0)
        return reject(conn, -rc);
    if (conn->epoch <= queue->epoch)
        return reject(
            conn, -ros2i_fail(ESTALE, "epoch %llu is not above %llu, the last one of this queue",
                              (unsigned long long)conn->epoch, (unsigned long long)queue->epoch));
    conn->queue = queue;
    become_proved(conn);
    return fence(conn);
}

/* -- events -- */

static enum ros2d_connection_state unexpected(struct ros2d_connection *conn,
                                              const struct ros2i_msg *msg)
{
    ros2i_fail(EPROTO, "a message of type %u where it has no place", msg->type);
    return breach(conn);
}

static enum ros2d_connection_state pong(struct ros2d_connection *conn, const struct ros2i_msg *msg)
{
    struct ros2i_msg reply = {.type = ROS2I_MSG_PONG, .request_id = msg->request_id};
    uint8_t buf[64];
    int len;

    reply.u.opaque = msg->u.opaque;
    len = ros2i_wire_encode(&reply, buf, sizeof(buf));
    if (send_bytes(conn, buf, (size_t)len) == -EAGAIN) {
        ros2i_fail(EPROTO, "pings come faster than their pongs are taken");
        return breach(conn);
    }
    return ROS2D_READY;
}

static enum ros2d_connection_state on_request(struct ros2d_connection *conn,
                                              const struct ros2i_msg *msg)
{
    int rc = 0;

    switch (msg->type) {
    case ROS2I_MSG_READ:
    case ROS2I_MSG_READV:
    case ROS2I_MSG_WRITE:
    case ROS2I_MSG_FSYNC:
    case ROS2I_MSG_CLOSE:
        /* The letter about it may still be on its way. */
        if (atomic_load_explicit(&conn->session->closed, memory_order_acquire)) {
            ros2d_connection_end(conn, true);
            return ROS2D_ENDED;
        }
        if (conn->thread
                ->draining) /* the channel ends soon, and the client sends it again elsewhere or later */
            return ROS2D_READY;
        rc = ros2d_request_arrived(conn, msg);
        break;
    case ROS2I_MSG_CANCEL:
        ros2d_request_cancel(conn, msg->u.target_id);
        break;
    case ROS2I_MSG_PING:
        return pong(conn, msg);
    default:
        return unexpected(conn, msg);
    }
    return rc < 0 ? breach(conn) : conn->state;
}

static void step(struct ros2d_connection *conn, const struct ros2i_msg *msg, const void *raw,
                 size_t len)
{
    enum ros2d_connection_state next = conn->state;

    switch (conn->state) {
    case ROS2D_AWAIT_HELLO:
        next = msg->type == ROS2I_MSG_HELLO ? on_hello(conn, msg, raw, len) : unexpected(conn, msg);
        break;
    case ROS2D_AWAIT_PROOF:
        next = msg->type == ROS2I_MSG_PROOF ? on_proof(conn, msg) : unexpected(conn, msg);
        break;
    case ROS2D_AWAIT_FENCE:
        next = unexpected(conn, msg);
        break;
    case ROS2D_READY:
        next = on_request(conn, msg);
        break;
    case ROS2D_ENDED:
        break;
    }
    conn->state = next;
}

void ros2d_connection_unfence(struct ros2d_connection *conn)
{
    conn->state = welcome(conn);
}

static void on_message(void *arg, struct ros2_ep *ep, const void *msg, size_t len)
{
    struct ros2d_connection *conn = arg;
    struct ros2i_msg decoded; /* not zeroed: 1 KiB, and decode sets what the type has */

    (void)ep;
    if (conn->state == ROS2D_ENDED)
        return;
    if (ros2i_wire_decode(msg, len, &decoded) < 0)
        ros2d_connection_breach(conn);
    else
        step(conn, &decoded, msg, len);
}

static void on_closed(void *arg, struct ros2_ep *ep, int err)
{
    struct ros2d_connection *conn = arg;

    (void)ep;
    ros2i_log(ROS2_LOG_DEBUG, "data", "channel closed peer %s err %d", conn->peer, -err);
    if (err == -EPROTO)
        ros2d_thread_complain(conn->thread, conn->peer, ros2i_error());
    ros2d_connection_end(conn, false);
}

static const struct ros2_ep_handler handler = {.message = on_message, .closed = on_closed};

static void on_deadline(struct ros2i_timer *timer)
{
    struct ros2d_connection *conn = ROS2D_CONTAINER(timer, struct ros2d_connection, timer);

    ros2i_fail(ETIMEDOUT, "no handshake within %u ms",
               conn->thread->state->config->data.handshake_timeout_ms);
    ros2d_thread_complain(conn->thread, conn->peer, ros2i_error());
    ros2d_connection_end(conn, false);
}

/* -- the start -- */

void ros2d_connection_accept(struct ros2d_lane *lane, struct ros2_ep *ep)
{
    struct ros2d_thread *thread = lane->thread;
    uint64_t timeout_ns = thread->state->config->data.handshake_timeout_ms * ROS2I_NS_PER_MS;
    struct ros2d_connection *conn = calloc(1, sizeof(*conn));

    if (!conn) {
        lane->ops->ep_abort(ep);
        return;
    }
    conn->thread = thread;
    conn->lane = lane;
    conn->ops = lane->ops;
    conn->ep = ep;
    conn->state = ROS2D_AWAIT_HELLO;
    conn->timer.fire = on_deadline;
    ros2d_list_init(&conn->requests);
    if (conn->ops->ep_peer(ep, conn->peer, sizeof(conn->peer)) < 0)
        strcpy(conn->peer, "?");
    conn->ops->ep_set_handler(ep, &handler, conn);
    if (ros2i_timers_arm(&thread->timers, &conn->timer, ros2i_now_ns() + timeout_ns) < 0) {
        conn->ops->ep_abort(ep);
        free(conn);
        return;
    }
    if (thread->unproved_count >= UNPROVED_MAX)
        ros2d_connection_end(ROS2D_CONTAINER(thread->unproved.next, struct ros2d_connection, link),
                             false);
    ros2d_list_append(&thread->unproved, &conn->link);
    thread->unproved_count++;
    lane->connections++;
    ros2d_count(&thread->counters.accepted, 1);
}
