/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's data plane small enough to be wrong on purpose. Owner: the test's only thread. */
#include "config.h"

#include "tests/unit/data_peer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/plugin.h"
#include "lib/base/random.h"
#include "lib/protocol/checksum.h"

uint64_t world_now_ns;

/* A get in progress, for a WRITE with segments. */
struct fetch {
    struct ros2_op op;
    struct peer *peer;
    uint64_t id, offset;
    uint32_t len;
};

static uint64_t injected_now(void)
{
    return world_now_ns;
}

uint64_t world_real_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void peer_send_raw(struct peer *peer, const void *bytes, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    if (!peer->ep)
        return;
    int rc = peer->ops->send(peer->ep, &iov, 1, NULL);
    assert_true(rc == 0 || rc == -ENOTCONN); /* the client has gone */
    peer->ops->flush(peer->ep);
}

void peer_send(struct peer *peer, const struct ros2i_msg *msg, const void *payload, size_t len)
{
    uint8_t buf[1024 + ROS2I_WIRE_INLINE_MAX];
    int n = ros2i_wire_encode(msg, buf, sizeof(buf));
    if (n < 0)
        fail_msg("encode: %s", ros2i_error());
    if (len > 0)
        memcpy(buf + n, payload, len);
    peer_send_raw(peer, buf, (size_t)n + len);
}

/* -- handshake -- */

static void send_reject(struct peer *peer)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_REJECT};
    msg.u.reject = (struct ros2i_reject){.err = peer->reject, .text = "on purpose", .text_len = 10};
    uint8_t buf[512];
    int n = ros2i_wire_encode(&msg, buf, sizeof(buf));
    assert_true(n > 0);
    peer_send_raw(peer, buf, (size_t)n);
}

static void on_hello(struct peer *peer, const struct ros2i_msg *msg, const void *raw, size_t len)
{
    peer->hello = msg->u.hello;
    memcpy(peer->hello_raw, raw, len);
    peer->hello_len = len;
    if (peer->rejections > 0) {
        peer->rejections--;
        send_reject(peer);
        return;
    }
    if (peer->mute_handshake)
        return;
    struct ros2i_msg challenge = {.type = ROS2I_MSG_CHALLENGE};
    challenge.u.challenge = peer->challenge;
    ros2i_random(challenge.u.challenge.server_nonce, 32);
    int n = ros2i_wire_encode(&challenge, peer->challenge_raw, sizeof(peer->challenge_raw));
    if (n < 0)
        fail_msg("challenge: %s", ros2i_error());
    peer->challenge_len = (size_t)n;
    peer_send_raw(peer, peer->challenge_raw, peer->challenge_len);
}

static void on_proof(struct peer *peer, const struct ros2i_msg *msg)
{
    uint8_t expected[ROS2I_PROOF_LEN];
    struct ros2i_msg welcome = {.type = ROS2I_MSG_WELCOME};
    ros2i_proof(peer->session.secret, ROS2I_PROOF_CLIENT, peer->hello_raw, peer->hello_len,
                peer->challenge_raw, peer->challenge_len, expected);
    assert_memory_equal(expected, msg->u.proof, sizeof(expected));
    if (peer->mute_welcome)
        return;
    ros2i_proof(peer->session.secret, peer->wrong_proof ? ROS2I_PROOF_CLIENT : ROS2I_PROOF_SERVER,
                peer->hello_raw, peer->hello_len, peer->challenge_raw, peer->challenge_len,
                welcome.u.proof);
    peer_send(peer, &welcome, NULL, 0);
}

/* -- requests -- */

static void send_reply(struct peer *peer, struct ros2i_msg *reply, const void *payload, size_t len)
{
    if (peer->spoil)
        peer->spoil(peer, reply);
    peer_send(peer, reply, payload, len);
}

static void put_done(struct ros2_op *op, int status)
{
    (void)op;
    (void)status;
}

/* The key is imported anew each time, which a test can afford. */
static struct ros2_remote remote_of(struct peer *peer, const struct ros2i_segment *segment,
                                    uint32_t len)
{
    struct ros2_remote remote = {.offset = segment->offset, .len = len};
    if (segment->kind == ROS2I_SEGMENT_TOKEN) {
        remote.token = segment->id;
    } else {
        assert_int_equal(segment->id, peer->region_id);
        assert_int_equal(
            peer->ops->rkey_import(peer->ep, peer->region_key, peer->region_key_len, &remote.rkey),
            0);
    }
    return remote;
}

static void forget_remote(struct peer *peer, const struct ros2_remote *remote)
{
    if (remote->rkey)
        peer->ops->rkey_release(remote->rkey);
}

static void answer_read(struct peer *peer, const struct ros2i_msg *msg)
{
    const struct ros2i_io_request *io = &msg->u.io;
    uint64_t left = io->offset < peer->file_len ? peer->file_len - io->offset : 0;
    uint32_t bytes = io->length < left ? io->length : (uint32_t)left;
    const uint8_t *data = peer->file + (bytes > 0 ? io->offset : 0);
    struct ros2i_msg reply = {.type = ROS2I_MSG_REPLY, .request_id = msg->request_id};
    reply.u.reply.bytes = bytes;
    if (msg->flags & ROS2I_MSG_CHECKSUM) {
        reply.flags |= ROS2I_MSG_CHECKSUM;
        reply.u.reply.crc = ros2i_crc32c(0, data, bytes);
        if (peer->bad_crcs > 0) {
            peer->bad_crcs--;
            reply.u.reply.crc ^= 1;
        }
    }
    if (io->segment_count == 0) {
        reply.u.reply.payload_len = bytes;
        reply.u.reply.payload = data;
        send_reply(peer, &reply, data, bytes);
        return;
    }
    if (peer->spoil)
        peer->spoil(peer, &reply);
    uint8_t buf[256];
    int n = ros2i_wire_encode(&reply, buf, sizeof(buf));
    assert_true(n > 0);
    struct iovec src = {(void *)(uintptr_t)data, bytes};
    static struct ros2_op ops[64];
    static unsigned next;
    struct ros2_op *op = &ops[next++ % 64];
    if (bytes == 0) {
        peer_send_raw(peer, buf, (size_t)n);
        return;
    }
    memset(op, 0, sizeof(*op));
    op->done = put_done;
    static uint8_t copies[64][256]; /* the message is borrowed until done */
    uint8_t *copy = copies[(next - 1) % 64];
    memcpy(copy, buf, (size_t)n);
    struct ros2_remote dst = remote_of(peer, &io->segment[0], bytes);
    assert_int_equal(peer->ops->put(peer->ep, &src, 1, &dst, 1, copy, (size_t)n, op), 0);
    forget_remote(peer, &dst);
}

static void write_reply(struct peer *peer, uint64_t id, uint64_t offset, uint32_t len)
{
    struct ros2i_msg reply = {.type = ROS2I_MSG_REPLY, .request_id = id};
    reply.u.reply.bytes = len;
    reply.u.reply.offset = offset;
    reply.u.reply.durability_epoch = PEER_EPOCH;
    send_reply(peer, &reply, NULL, 0);
}

static void fetched(struct ros2_op *op, int status)
{
    struct fetch *fetch = (struct fetch *)op;
    if (status == 0)
        write_reply(fetch->peer, fetch->id, fetch->offset, fetch->len);
    free(fetch);
}

static void check_crcs(const struct peer *peer, const struct ros2i_io_request *io,
                       const uint8_t *data)
{
    uint32_t block = peer->challenge.checksum_block;
    assert_int_equal(io->crc_count, io->length == 0 ? 1 : (io->length - 1) / block + 1);
    for (uint32_t at = 0, i = 0; at < io->length; at += block, i++) {
        uint32_t left = io->length - at;
        assert_int_equal(io->crc[i], ros2i_crc32c(0, data + at, left < block ? left : block));
    }
}

static void answer_write(struct peer *peer, const struct ros2i_msg *msg)
{
    const struct ros2i_io_request *io = &msg->u.io;
    assert_true(io->offset + io->length <= PEER_FILE_LEN);
    if (io->offset + io->length > peer->file_len)
        peer->file_len = io->offset + io->length;
    if (io->segment_count == 0) {
        if (msg->flags & ROS2I_MSG_CHECKSUM)
            check_crcs(peer, io, io->payload);
        memcpy(peer->file + io->offset, io->payload, io->length);
        write_reply(peer, msg->request_id, io->offset, io->length);
        return;
    }
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    assert_non_null(fetch);
    *fetch = (struct fetch){.op = {.done = fetched},
                            .peer = peer,
                            .id = msg->request_id,
                            .offset = io->offset,
                            .len = io->length};
    struct iovec dst = {peer->file + io->offset, io->length};
    struct ros2_remote src = remote_of(peer, &io->segment[0], io->length);
    assert_int_equal(peer->ops->get(peer->ep, &dst, 1, &src, 1, &fetch->op), 0);
    forget_remote(peer, &src);
}

void peer_put_unasked(struct peer *peer, uint64_t offset, uint32_t len)
{
    static struct ros2_op op;
    const struct ros2i_segment segment = {
        .id = peer->region_id, .offset = offset, .len = len, .kind = ROS2I_SEGMENT_REGION};
    struct iovec src = {peer->file, len};
    struct ros2_remote dst = remote_of(peer, &segment, len);
    op = (struct ros2_op){.done = put_done};
    assert_int_equal(peer->ops->put(peer->ep, &src, 1, &dst, 1, NULL, 0, &op), 0);
    peer->ops->flush(peer->ep);
    forget_remote(peer, &dst);
}

static void answer(struct peer *peer, const struct ros2i_msg *msg)
{
    struct ros2i_msg reply = {.type = ROS2I_MSG_REPLY, .request_id = msg->request_id};
    if (msg->type == ROS2I_MSG_CANCEL)
        return;
    if (peer->status != 0 && msg->type != ROS2I_MSG_PING) {
        reply.u.reply.status = peer->status;
        send_reply(peer, &reply, NULL, 0);
        return;
    }
    switch (msg->type) {
    case ROS2I_MSG_READ:
        answer_read(peer, msg);
        break;
    case ROS2I_MSG_WRITE:
        answer_write(peer, msg);
        break;
    case ROS2I_MSG_FSYNC:
        write_reply(peer, msg->request_id, 0, 0);
        break;
    case ROS2I_MSG_PING:
        if (peer->mute_pong)
            break;
        reply.type = ROS2I_MSG_PONG;
        reply.u.opaque = msg->u.opaque;
        peer_send(peer, &reply, NULL, 0);
        break;
    default:
        fail_msg("the client sent a message of type %u", msg->type);
    }
}

static struct ros2i_msg held[4096]; /* as seen[]; payloads of inline writes are not kept */

static void note(struct peer *peer, const struct ros2i_msg *msg)
{
    assert_true(peer->seen_count < 4096);
    struct peer_request *r = &peer->seen[peer->seen_count];
    held[peer->seen_count++] = *msg;
    bool io = msg->type == ROS2I_MSG_READ || msg->type == ROS2I_MSG_WRITE;
    *r = (struct peer_request){.type = msg->type,
                               .flags = msg->flags,
                               .id = msg->request_id,
                               .offset = io ? msg->u.io.offset : 0,
                               .length = io ? msg->u.io.length : 0,
                               .handle = io ? msg->u.io.handle : 0,
                               .segment_count = io ? msg->u.io.segment_count : 0,
                               .target_id = msg->type == ROS2I_MSG_CANCEL ? msg->u.target_id : 0,
                               .epoch = peer->hello.epoch};
    if (r->segment_count > 0)
        r->segment = msg->u.io.segment[0];
}

void peer_answer(struct peer *peer, unsigned n)
{
    assert_true(n < peer->seen_count);
    answer(peer, &held[n]);
}

unsigned peer_count(const struct peer *peer, uint8_t type)
{
    unsigned count = 0;
    for (unsigned i = 0; i < peer->seen_count; i++)
        count += peer->seen[i].type == type;
    return count;
}

/* -- the transport's side -- */

static void on_message(void *arg, struct ros2_ep *ep, const void *raw, size_t len)
{
    struct peer *peer = arg;
    struct ros2i_msg msg;
    if (ep != peer->ep)
        return;
    if (ros2i_wire_decode(raw, len, &msg) < 0)
        fail_msg("the client sent: %s", ros2i_error());
    if (msg.type == ROS2I_MSG_HELLO) {
        on_hello(peer, &msg, raw, len);
    } else if (msg.type == ROS2I_MSG_PROOF) {
        on_proof(peer, &msg);
    } else {
        note(peer, &msg);
        if (!peer->hold || msg.type == ROS2I_MSG_PING)
            answer(peer, &msg);
    }
}

static void on_closed(void *arg, struct ros2_ep *ep, int err)
{
    struct peer *peer = arg;
    (void)err;
    peer->ops->ep_abort(ep);
    if (peer->ep == ep)
        peer->ep = NULL;
}

static const struct ros2_ep_handler handler = {.message = on_message, .closed = on_closed};

static void on_accept(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct peer *peer = arg;
    (void)listener;
    if (peer->ep)
        peer->ops->ep_abort(peer->ep);
    peer->ep = ep;
    peer->connections++;
    peer->ops->ep_set_handler(ep, &handler, peer);
}

void peer_drop(struct peer *peer)
{
    if (peer->ep)
        peer->ops->ep_abort(peer->ep);
    peer->ep = NULL;
}

void peer_progress(struct peer *peer)
{
    peer->ops->progress(peer->domain);
}

int peer_open(struct peer *peer)
{
    struct ros2_domain_options options = {
        .size = sizeof(options), .host = &ros2i_host, .max_message = ROS2I_WIRE_MESSAGE_MAX};
    *peer = (struct peer){.file_len = PEER_FILE_LEN};
    int rc = ros2i_plugin_transport("tcp", &peer->ops);
    if (rc == 0)
        rc = peer->ops->domain_open(&options, &peer->domain);
    if (rc == 0)
        rc = peer->ops->listen(peer->domain, "127.0.0.1:0", on_accept, peer, &peer->listener);
    if (rc == 0)
        rc = peer->ops->listener_address(peer->listener, peer->address, sizeof(peer->address));
    if (rc < 0) {
        print_error("%s\n", ros2i_error());
        return rc;
    }
    peer->file = malloc(PEER_FILE_LEN);
    assert_non_null(peer->file);
    for (size_t i = 0; i < PEER_FILE_LEN; i++)
        peer->file[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16));
    ros2i_random(peer->session.id, sizeof(peer->session.id));
    ros2i_random(peer->session.secret, sizeof(peer->session.secret));
    peer->session.credits = 4;
    peer->session.inline_limit = 4096;
    peer->session.max_io = 256 << 10;
    peer->session.options = ROS2I_OPTION_CHECKSUM;
    peer->challenge = (struct ros2i_challenge){.version = ROS2I_WIRE_VERSION,
                                               .credits = 4,
                                               .inline_limit = 4096,
                                               .max_io = 256 << 10,
                                               .options = ROS2I_OPTION_CHECKSUM,
                                               .checksum_block = 64 << 10};
    return 0;
}

void peer_close(struct peer *peer)
{
    peer->ops->domain_close(peer->domain);
    free(peer->file);
}

/* -- world -- */

int world_create_channel(struct world *w, const struct ros2_transport_ops *ops)
{
    uint8_t nonce[ROS2I_NONCE_LEN] = {1, 2, 3};
    struct ros2i_channel_options options = {
        .ops = ops,
        .host = &ros2i_host,
        .session = &w->peer.session,
        .nonce = nonce,
        .address = (const char(*)[ROS2I_CHANNEL_ADDRESS_MAX])w->address,
        .address_count = 1,
        .queue = 5,
        .sequence = 1000};
    return ros2i_channel_create(&options, &w->channel);
}

int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    world_now_ns = 1000 * ROS2I_NS_PER_S;
    ros2i_clock_inject(injected_now, NULL);
    if (!w || peer_open(&w->peer) < 0)
        return -1;
    snprintf(w->address[0], sizeof(w->address[0]), "%s", w->peer.address);
    *state = w;
    return world_create_channel(w, w->peer.ops);
}

int world_teardown(void **state)
{
    struct world *w = *state;
    if (w->channel)
        ros2i_channel_destroy(w->channel);
    peer_close(&w->peer);
    ros2i_clock_inject(NULL, NULL);
    free(w);
    return 0;
}

void world_turn(struct world *w)
{
    ros2i_channel_progress(w->channel, world_now_ns);
    peer_progress(&w->peer);
}

static void on_done(struct ros2i_op *op)
{
    struct world *w = (struct world *)(void *)op->queue;
    w->done++;
}

void world_submit(struct world *w, struct ros2i_op *op, enum ros2i_op_kind kind, void *buf,
                  size_t len, uint64_t offset, unsigned flags, uint64_t timeout_ns)
{
    ros2i_op_init(op, kind, PEER_HANDLE);
    op->buf = buf;
    op->len = len;
    op->offset = offset;
    op->flags = flags;
    op->deadline_ns = world_now_ns + timeout_ns;
    op->done = on_done;
    op->queue = (struct ros2i_queue *)(void *)w;
    assert_int_equal(ros2i_channel_submit(w->channel, op, world_now_ns), 0);
}

int64_t world_do(struct world *w, struct ros2i_op *op, enum ros2i_op_kind kind, void *buf,
                 size_t len, uint64_t offset)
{
    world_submit(w, op, kind, buf, len, offset, 0, 30 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, op->phase == ROS2I_OP_DONE);
    return op->result;
}
