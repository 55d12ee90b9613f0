/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/integration/data_peer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/plugin.h"
#include "lib/base/random.h"
#include "lib/protocol/checksum.h"

/* -- the peer's transport -- */

static void on_connected(void *arg, struct ros2_ep *ep)
{
    struct peer *peer = arg;

    assert_ptr_equal(ep, peer->ep);
    peer->connected = true;
}

static void on_message(void *arg, struct ros2_ep *ep, const void *msg, size_t len)
{
    struct peer *peer = arg;
    struct letter *letter = &peer->inbox[peer->received % INBOX];

    (void)ep;
    assert_true(peer->received - peer->taken < INBOX);
    peer->received++;
    free(letter->raw);
    letter->raw = malloc(len);
    letter->len = len;
    memcpy(letter->raw, msg, len);
    if (ros2i_wire_decode(letter->raw, len, &letter->msg) < 0)
        fail_msg("the daemon's message: %s", ros2i_error());
}

static void on_closed(void *arg, struct ros2_ep *ep, int err)
{
    struct peer *peer = arg;

    (void)ep;
    peer->closed = true;
    peer->close_err = err;
}

static const struct ros2_ep_handler handler = {on_connected, on_message, on_closed};

bool peer_turn(struct peer *peer)
{
    return peer->ops->progress(peer->domain) > 0;
}

static void rest(struct peer *peer)
{
    struct pollfd fd = {.fd = peer->ops->domain_fd(peer->domain), .events = POLLIN};

    if (!peer_turn(peer) && peer->ops->domain_arm(peer->domain) == 0)
        poll(&fd, 1, 1000);
}

#define WAIT_UNTIL(peer, condition)                                          \
    for (uint64_t until_ns_ = ros2i_now_ns() + PATIENCE_NS; !(condition);) { \
        if (ros2i_now_ns() >= until_ns_)                                     \
            fail_msg("in vain: %s", #condition);                             \
        rest(peer);                                                          \
    }

void peer_connect(struct peer *peer, struct rig *rig, struct ros2d_session *session)
{
    const struct ros2i_endpoint *endpoint = &rig->state.endpoint[0];
    struct ros2_domain_options options = {
        .size = sizeof(options), .host = &ros2i_host, .max_message = ROS2I_WIRE_MESSAGE_MAX};
    char address[160];

    memset(peer, 0, sizeof(*peer));
    peer->rig = rig;
    peer->session = session;
    MUST(ros2i_plugin_transport(endpoint->transport, &peer->ops));
    MUST(ros2i_shared_view_create(&peer->memory));
    options.memory = ros2i_shared_view_memory(peer->memory);
    MUST(peer->ops->domain_open(&options, &peer->domain));
    snprintf(address, sizeof(address), "%s%s", endpoint->address[0] == ':' ? "127.0.0.1" : "",
             endpoint->address);
    MUST(peer->ops->connect(peer->domain, address, &handler, peer, &peer->ep));
    WAIT_UNTIL(peer, peer->connected || peer->closed);
    peer->hello = (struct ros2i_hello){.version_min = 1,
                                       .version_max = 1,
                                       .epoch = 1,
                                       .credits = 8,
                                       .inline_limit = 4096,
                                       .options = ROS2I_OPTION_CHECKSUM};
    MUST(ros2i_random(peer->hello.client_nonce, sizeof(peer->hello.client_nonce)));
    memset(peer->hello.process_nonce, 7, sizeof(peer->hello.process_nonce));
    if (!session)
        return;
    memcpy(peer->hello.session_id, session->id, sizeof(session->id));
    memcpy(peer->secret, session->secret, sizeof(session->secret));
}

void peer_disconnect(struct peer *peer)
{
    if (peer->ep)
        peer->ops->ep_abort(peer->ep);
    peer->ep = NULL;
    peer->ops->domain_close(peer->domain);
    ros2i_shared_view_destroy(peer->memory);
    for (unsigned i = 0; i < INBOX; i++)
        free(peer->inbox[i].raw);
}

void peer_send_raw(struct peer *peer, const void *bytes, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, len};

    if (peer->closed)
        return;
    if (peer->ops->send(peer->ep, &iov, 1, NULL) == 0)
        peer->ops->flush(peer->ep);
}

void peer_send(struct peer *peer, const struct ros2i_msg *msg)
{
    uint8_t buf[ROS2I_WIRE_MESSAGE_MAX];
    int len = ros2i_wire_encode(msg, buf, sizeof(buf));

    if (len < 0)
        fail_msg("encode: %s", ros2i_error());
    if (msg->type == ROS2I_MSG_WRITE && msg->u.io.segment_count == 0 && msg->u.io.length > 0) {
        memcpy(buf + len, msg->u.io.payload, msg->u.io.length);
        len += (int)msg->u.io.length;
    } else if (msg->type == ROS2I_MSG_READV) {
        size_t extents_len = (size_t)msg->u.vector.extent_count * ROS2I_WIRE_EXTENT_LEN;
        memcpy(buf + len, msg->u.vector.extents, extents_len);
        len += (int)extents_len;
    } else if (msg->type == ROS2I_MSG_CLOSE) {
        memcpy(buf + len, msg->u.close.handles, (size_t)msg->u.close.count * 8);
        len += (int)msg->u.close.count * 8;
    }
    peer_send_raw(peer, buf, (size_t)len);
}

const struct letter *peer_next(struct peer *peer)
{
    WAIT_UNTIL(peer, peer->taken < peer->received || peer->closed);
    return peer->taken < peer->received ? &peer->inbox[peer->taken++ % INBOX] : NULL;
}

void peer_await_close(struct peer *peer)
{
    WAIT_UNTIL(peer, peer->closed);
}

void peer_ping(struct peer *peer)
{
    struct ros2i_msg ping = {.type = ROS2I_MSG_PING, .request_id = 77, .u.opaque = 0x1234567890};
    unsigned at = peer->received;

    peer_send(peer, &ping);
    for (;;) {
        WAIT_UNTIL(peer, peer->received > at || peer->closed);
        assert_false(peer->closed);
        const struct letter *letter = &peer->inbox[at++ % INBOX];
        if (letter->msg.type != ROS2I_MSG_PONG)
            continue;
        assert_int_equal(letter->msg.u.opaque, 0x1234567890);
        assert_int_equal(letter->msg.request_id, 77);
        return;
    }
}

/* -- handshake -- */

void peer_say_hello(struct peer *peer)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_HELLO, .u.hello = peer->hello};
    int len = ros2i_wire_encode(&msg, peer->hello_raw, sizeof(peer->hello_raw));

    assert_true(len > 0);
    peer->hello_len = (size_t)len;
    peer_send_raw(peer, peer->hello_raw, peer->hello_len);
}

static int await(struct peer *peer, uint8_t type, const struct letter **letter_p)
{
    const struct letter *letter = peer_next(peer);

    if (!letter)
        return -1;
    if (letter->msg.type == ROS2I_MSG_REJECT)
        return (int)letter->msg.u.reject.err;
    assert_int_equal(letter->msg.type, type);
    *letter_p = letter;
    return 0;
}

int peer_await_challenge(struct peer *peer)
{
    const struct letter *letter = NULL;
    int rc = await(peer, ROS2I_MSG_CHALLENGE, &letter);

    if (rc || !letter)
        return rc;
    memcpy(peer->challenge_raw, letter->raw, letter->len);
    peer->challenge_len = letter->len;
    peer->challenge = letter->msg.u.challenge;
    return 0;
}

void peer_say_proof(struct peer *peer)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_PROOF};

    MUST(ros2i_proof(peer->secret, ROS2I_PROOF_CLIENT, peer->hello_raw, peer->hello_len,
                     peer->challenge_raw, peer->challenge_len, msg.u.proof));
    peer_send(peer, &msg);
}

int peer_await_welcome(struct peer *peer)
{
    uint8_t expected[ROS2I_PROOF_LEN];
    const struct letter *letter = NULL;
    int rc = await(peer, ROS2I_MSG_WELCOME, &letter);

    if (rc)
        return rc;
    MUST(ros2i_proof(peer->secret, ROS2I_PROOF_SERVER, peer->hello_raw, peer->hello_len,
                     peer->challenge_raw, peer->challenge_len, expected));
    assert_memory_equal(letter->msg.u.proof, expected, sizeof(expected));
    return 0;
}

int peer_handshake(struct peer *peer)
{
    peer_say_hello(peer);
    int rc = peer_await_challenge(peer);
    if (rc)
        return rc;
    peer_say_proof(peer);
    return peer_await_welcome(peer);
}

void peer_join(struct peer *peer, struct rig *rig, struct ros2d_session *session, uint32_t queue,
               uint64_t epoch)
{
    peer_connect(peer, rig, session);
    peer->hello.queue = queue;
    peer->hello.epoch = epoch;
    assert_int_equal(peer_handshake(peer), 0);
}

/* -- requests -- */

uint64_t request_id(uint64_t sequence, uint16_t slot)
{
    return ros2i_request_id(sequence, slot);
}

void fill_read(struct ros2i_msg *msg, uint64_t id, uint64_t handle, uint64_t offset, uint32_t len)
{
    memset(msg, 0, sizeof(*msg));
    msg->type = ROS2I_MSG_READ;
    msg->flags = ROS2I_MSG_CHECKSUM;
    msg->request_id = id;
    msg->u.io.handle = handle;
    msg->u.io.offset = offset;
    msg->u.io.length = len;
}

void fill_write(struct ros2i_msg *msg, uint64_t id, uint64_t handle, uint64_t offset,
                const void *data, uint32_t len)
{
    fill_read(msg, id, handle, offset, len);
    msg->type = ROS2I_MSG_WRITE;
    msg->u.io.payload = data;
    msg->u.io.crc_count = 1;
    msg->u.io.crc[0] = ros2i_crc32c(0, data, len);
}

void fill_crcs(struct peer *peer, struct ros2i_msg *msg, const void *data)
{
    uint32_t block = peer->challenge.checksum_block, len = msg->u.io.length;

    msg->u.io.crc_count = 0;
    for (uint32_t at = 0; at < len; at += block)
        msg->u.io.crc[msg->u.io.crc_count++] =
            ros2i_crc32c(0, (const uint8_t *)data + at, len - at < block ? len - at : block);
}

void use_region(struct peer *peer, struct ros2i_msg *msg, struct ros2_region *region,
                const uint32_t *lens)
{
    struct ros2i_io_request *io = &msg->u.io;
    uint64_t at = 0;

    io->segment_count = 0;
    for (; *lens; lens++) {
        io->segment[io->segment_count++] =
            (struct ros2i_segment){.id = peer->ops->region_token(region),
                                   .offset = at,
                                   .len = *lens,
                                   .kind = ROS2I_SEGMENT_TOKEN};
        at += *lens;
    }
}

void *peer_alloc(size_t len)
{
    void *memory;

    MUST(ros2i_shared_alloc(len, 0, -1, &memory));
    return memory;
}

void peer_free(void *memory, size_t len)
{
    ros2i_shared_free(memory, len);
}

bool peer_is_mapped(const struct peer *peer)
{
    return peer->ops->flags & ROS2_TRANSPORT_MAP_PEER;
}

struct ros2_region *peer_region(struct peer *peer, void *buf, size_t len, unsigned rights)
{
    struct ros2_region *region;

    MUST(peer->ops->region_register(peer->domain, buf, len, rights, ROS2_MEMORY_HOST, &region));
    return region;
}

const struct ros2i_reply *peer_reply(struct peer *peer, uint64_t id)
{
    const struct letter *letter = NULL;

    do {
        letter = peer_next(peer);
        if (!letter)
            fail_msg("the daemon closed (err %d) in place of a reply", peer->close_err);
    } while (letter->msg.type == ROS2I_MSG_PONG);
    assert_int_equal(letter->msg.type, ROS2I_MSG_REPLY);
    assert_int_equal(letter->msg.request_id, id);
    return &letter->msg.u.reply;
}

const struct ros2i_reply *peer_call(struct peer *peer, const struct ros2i_msg *msg)
{
    peer_send(peer, msg);
    return peer_reply(peer, msg->request_id);
}
