/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake. An unknown session gets the same challenge as a known one, with a secret that nobody knows, and the same
 * refusal after its proof: the data port tells nobody which sessions exist. Owner: the data thread. */
#include "config.h"

#include "daemon/data/handshake.h"

#include <errno.h>
#include <string.h>

#include "daemon/data/thread.h"
#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"
#include "lib/protocol/proof.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int send_message(struct ros2d_connection *c, const struct ros2i_msg *msg, void *buf,
                        size_t size, size_t *len_p)
{
    struct iovec iov = {.iov_base = buf};
    int rc = ros2i_wire_encode(msg, buf, size);

    if (rc < 0)
        return rc;
    iov.iov_len = (size_t)rc;
    if (len_p)
        *len_p = (size_t)rc;
    return c->thread->transport->send(c->ep, &iov, 1, NULL);
}

/* Sends REJECT with this thread's error text; the channel ends once it is out. */
static int reject(struct ros2d_connection *c, int negative_errno)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_REJECT};
    uint8_t buf[ROS2I_WIRE_HEADER_LEN + 64 + ROS2I_WIRE_TEXT_MAX];

    msg.u.reject.err = (uint32_t)-negative_errno;
    msg.u.reject.text = ros2i_error();
    msg.u.reject.text_len = strnlen(msg.u.reject.text, ROS2I_WIRE_TEXT_MAX);
    c->thread->count.refused++;
    (void)send_message(c, &msg, buf, sizeof(buf),
                       NULL); /* without room for it the peer learns less */
    c->graceful = true;
    return ROS2D_CONNECTION_DOOMED;
}

static int find_session(struct ros2d_connection *c, const uint8_t id[ROS2I_SESSION_ID_LEN])
{
    c->session = ros2d_sessions_get(c->thread->state->sessions, id);
    if (!c->session)
        return ros2i_random(c->secret, sizeof(c->secret));
    memcpy(c->secret, c->session->secret, sizeof(c->secret));
    return 0;
}

int ros2d_handshake_hello(struct ros2d_connection *c, const struct ros2i_msg *msg, const void *raw,
                          size_t len)
{
    const struct ros2d_config *config = c->thread->config;
    const struct ros2i_hello *hello = &msg->u.hello;
    struct ros2i_msg reply = {.type = ROS2I_MSG_CHALLENGE};
    struct ros2i_challenge *challenge = &reply.u.challenge;
    int rc;

    if (len > sizeof(c->hello))
        return ros2i_fail(EPROTO, "a HELLO of %zu bytes", len);
    memcpy(c->hello, raw, len);
    c->hello_len = len;
    if (hello->version_min > ROS2I_WIRE_VERSION || hello->version_max < ROS2I_WIRE_VERSION) {
        ros2i_fail(EPROTONOSUPPORT,
                   "the daemon speaks version %u of the data plane, the client %u to %u; update "
                   "the older one",
                   ROS2I_WIRE_VERSION, hello->version_min, hello->version_max);
        return reject(c, -EPROTONOSUPPORT);
    }
    memcpy(c->nonce, hello->process_nonce, sizeof(c->nonce));
    c->epoch = hello->epoch;
    c->queue_number = hello->queue;
    rc = find_session(c, hello->session_id);
    if (rc < 0)
        return rc;
    c->credits = min_u32(hello->credits == 0 ? 1 : hello->credits, config->data.credits);
    c->inline_limit = min_u32(hello->inline_limit, config->data.inline_limit);
    c->options = hello->options & ROS2I_OPTION_CHECKSUM;
    challenge->version = ROS2I_WIRE_VERSION;
    challenge->credits = c->credits;
    challenge->inline_limit = c->inline_limit;
    challenge->max_io = config->data.max_io;
    challenge->options = c->options;
    challenge->checksum_block = config->data.chunk;
    rc = ros2i_random(challenge->server_nonce, sizeof(challenge->server_nonce));
    if (rc == 0)
        rc = send_message(c, &reply, c->challenge, sizeof(c->challenge), &c->challenge_len);
    return rc < 0 ? rc : ROS2D_CONNECTION_AWAIT_PROOF;
}

static bool proof_is_right(const struct ros2d_connection *c, const uint8_t got[ROS2I_PROOF_LEN])
{
    uint8_t expected[ROS2I_PROOF_LEN];
    bool right = ros2i_proof(c->secret, ROS2I_PROOF_CLIENT, c->hello, c->hello_len, c->challenge,
                             c->challenge_len, expected) == 0 &&
                 ros2i_secret_equal(expected, got, sizeof(expected));

    ros2i_wipe(expected, sizeof(expected));
    return right && c->session; /* after the compare: it takes as long for an unknown session */
}

int ros2d_handshake_proof(struct ros2d_connection *c, const struct ros2i_msg *msg)
{
    struct ros2d_thread *thread = c->thread;
    struct ros2d_queue_state *queue;
    int rc;

    if (!proof_is_right(c, msg->u.proof) ||
        atomic_load_explicit(&c->session->closed, memory_order_acquire)) {
        ros2i_fail(EACCES, "the session is unknown or its secret was not proved");
        return reject(c, -EACCES);
    }
    rc = ros2d_queue_states_get(&thread->queues, c->session, c->nonce, c->queue_number, &queue);
    if (rc < 0)
        return reject(c, rc);
    if (c->epoch <= queue->epoch) {
        ros2i_fail(ESTALE, "epoch %llu of queue %u: %llu has been here already",
                   (unsigned long long)c->epoch, c->queue_number, (unsigned long long)queue->epoch);
        return reject(c, -ESTALE);
    }
    /* From here on this epoch rules: the older channel ends, and what it has in the engine is waited for. */
    if (queue->connection)
        ros2d_connection_supersede(queue->connection);
    queue->epoch = c->epoch;
    queue->connection = c;
    c->queue = queue;
    atomic_fetch_add_explicit(&c->session->channels, 1, memory_order_relaxed);
    if (queue->orphans > 0)
        return ROS2D_CONNECTION_AWAIT_FENCE;
    return ros2d_handshake_welcome(c);
}

int ros2d_handshake_welcome(struct ros2d_connection *c)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_WELCOME};
    uint8_t buf[ROS2I_WIRE_HEADER_LEN + ROS2I_PROOF_LEN];
    int rc = ros2i_proof(c->secret, ROS2I_PROOF_SERVER, c->hello, c->hello_len, c->challenge,
                         c->challenge_len, msg.u.proof);

    ros2i_wipe(c->secret, sizeof(c->secret));
    if (rc == 0)
        rc = send_message(c, &msg, buf, sizeof(buf), NULL);
    return rc < 0 ? rc : ROS2D_CONNECTION_READY;
}
