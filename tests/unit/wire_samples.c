/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of every type. Payloads come from one pattern, so that a message can be made without memory of its own. */
#include "config.h"

#include "tests/unit/wire_samples.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static const uint8_t *pattern(void)
{
    static uint8_t bytes[ROS2I_WIRE_INLINE_MAX];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    return bytes;
}

static void hello(struct ros2i_msg *msg)
{
    struct ros2i_hello *h = &msg->u.hello;

    msg->type = ROS2I_MSG_HELLO;
    h->version_min = h->version_max = 1;
    for (unsigned i = 0; i < 32; i++) {
        h->session_id[i % 16] = (uint8_t)(0x10 + i % 16);
        h->process_nonce[i % 16] = (uint8_t)(0x20 + i % 16);
        h->client_nonce[i] = (uint8_t)(0x40 + i);
    }
    h->epoch = 0x0102030405060708;
    h->queue = 0x11121314;
    h->credits = 64;
    h->inline_limit = 4096;
    h->options = ROS2I_OPTION_CHECKSUM;
}

static void hello_largest(struct ros2i_msg *msg)
{
    hello(msg);
    msg->u.hello.version_max = UINT16_MAX; /* of a newer client, with wishes unknown here */
    msg->u.hello.options = UINT32_MAX;
    msg->u.hello.epoch = UINT64_MAX;
    msg->u.hello.credits = ROS2I_WIRE_CREDITS_MAX;
    msg->u.hello.inline_limit = ROS2I_WIRE_INLINE_MAX;
}

static void challenge(struct ros2i_msg *msg)
{
    struct ros2i_challenge *c = &msg->u.challenge;

    msg->type = ROS2I_MSG_CHALLENGE;
    c->version = 1;
    c->credits = 32;
    c->inline_limit = 4096;
    c->max_io = 1u << 20;
    c->options = ROS2I_OPTION_CHECKSUM;
    c->checksum_block = 256u << 10;
    for (unsigned i = 0; i < 32; i++)
        c->server_nonce[i] = (uint8_t)(0x60 + i);
}

static void challenge_largest(struct ros2i_msg *msg)
{
    challenge(msg);
    msg->u.challenge.credits = ROS2I_WIRE_CREDITS_MAX;
    msg->u.challenge.inline_limit = ROS2I_WIRE_INLINE_MAX;
    msg->u.challenge.max_io = ROS2I_WIRE_IO_MAX;
}

static void proof(struct ros2i_msg *msg)
{
    msg->type = ROS2I_MSG_PROOF;
    for (unsigned i = 0; i < 32; i++)
        msg->u.proof[i] = (uint8_t)(0x80 + i);
}

static void welcome(struct ros2i_msg *msg)
{
    proof(msg);
    msg->type = ROS2I_MSG_WELCOME;
}

static void reject(struct ros2i_msg *msg)
{
    msg->type = ROS2I_MSG_REJECT;
    msg->u.reject.err = EACCES;
    msg->u.reject.text = "no such session, or a wrong proof";
    msg->u.reject.text_len = strlen(msg->u.reject.text);
}

static void reject_bare(struct ros2i_msg *msg)
{
    msg->type = ROS2I_MSG_REJECT;
    msg->u.reject.err = 4095;
}

static void reject_largest(struct ros2i_msg *msg)
{
    reject_bare(msg);
    msg->u.reject.text = (const char *)pattern();
    msg->u.reject.text_len = ROS2I_WIRE_TEXT_MAX;
}

static void io(struct ros2i_msg *msg, uint8_t type, uint32_t length)
{
    msg->type = type;
    msg->request_id = ros2i_request_id(9, 3);
    msg->u.io.handle = 0x0000000100000002;
    msg->u.io.offset = 0x1000;
    msg->u.io.length = length;
}

static void add_segment(struct ros2i_msg *msg, uint64_t id, uint32_t len, uint32_t kind)
{
    struct ros2i_segment *segment = &msg->u.io.segment[msg->u.io.segment_count++];

    segment->id = id;
    segment->offset = 8 * id;
    segment->len = len;
    segment->kind = kind;
}

static void read_inline(struct ros2i_msg *msg)
{
    io(msg, ROS2I_MSG_READ, 4096);
}

static void read_nothing(struct ros2i_msg *msg)
{
    io(msg, ROS2I_MSG_READ, 0);
}

static void read_segments(struct ros2i_msg *msg)
{
    io(msg, ROS2I_MSG_READ, 3000);
    msg->flags = ROS2I_MSG_CHECKSUM | ROS2I_MSG_REPLAY;
    add_segment(msg, 5, 1000, ROS2I_SEGMENT_TOKEN);
    add_segment(msg, 6, 2000, ROS2I_SEGMENT_REGION);
}

static void read_largest(struct ros2i_msg *msg)
{
    io(msg, ROS2I_MSG_READ, ROS2I_WIRE_IO_MAX);
    msg->u.io.offset = (uint64_t)INT64_MAX - ROS2I_WIRE_IO_MAX;
    for (unsigned i = 0; i < ROS2I_WIRE_SEGMENTS_MAX; i++)
        add_segment(msg, 100 + i, ROS2I_WIRE_IO_MAX / ROS2I_WIRE_SEGMENTS_MAX, ROS2I_SEGMENT_TOKEN);
    msg->u.io.segment[15].offset = UINT64_MAX - msg->u.io.segment[15].len;
}

static void write_inline(struct ros2i_msg *msg)
{
    io(msg, ROS2I_MSG_WRITE, 100);
    msg->u.io.payload = pattern();
}

static void write_nothing(struct ros2i_msg *msg)
{
    io(msg, ROS2I_MSG_WRITE, 0);
}

static void write_largest_inline(struct ros2i_msg *msg)
{
    io(msg, ROS2I_MSG_WRITE, ROS2I_WIRE_INLINE_MAX);
    msg->flags = ROS2I_MSG_CHECKSUM;
    msg->u.io.crc_count = 1;
    msg->u.io.crc[0] = 0xdeadbeef;
    msg->u.io.payload = pattern();
}

static void write_largest(struct ros2i_msg *msg)
{
    read_largest(msg);
    msg->type = ROS2I_MSG_WRITE;
    msg->flags = ROS2I_MSG_CHECKSUM | ROS2I_MSG_REPLAY;
    msg->u.io.crc_count = ROS2I_WIRE_CRCS_MAX;
    for (unsigned i = 0; i < ROS2I_WIRE_CRCS_MAX; i++)
        msg->u.io.crc[i] = 0x01010101 * i;
}

static void fsync_data(struct ros2i_msg *msg)
{
    msg->type = ROS2I_MSG_FSYNC;
    msg->flags = ROS2I_MSG_DATASYNC | ROS2I_MSG_REPLAY;
    msg->request_id = UINT64_MAX;
    msg->u.handle = 0x0000000100000002;
}

static void cancel(struct ros2i_msg *msg)
{
    msg->type = ROS2I_MSG_CANCEL;
    msg->u.target_id = ros2i_request_id(9, 3);
}

static void ping(struct ros2i_msg *msg)
{
    msg->type = ROS2I_MSG_PING;
    msg->u.opaque = 0xa1a2a3a4a5a6a7a8;
}

static void pong(struct ros2i_msg *msg)
{
    ping(msg);
    msg->type = ROS2I_MSG_PONG;
    msg->request_id = ros2i_request_id(1, 0);
}

static void reply(struct ros2i_msg *msg)
{
    struct ros2i_reply *r = &msg->u.reply;

    msg->type = ROS2I_MSG_REPLY;
    msg->flags = ROS2I_MSG_CHECKSUM;
    msg->request_id = ros2i_request_id(9, 3);
    r->bytes = 100;
    r->offset = 0x3132333435363738;
    r->durability_epoch = 0x4142434445464748;
    r->crc = 0x51525354;
    r->engine_ns = 0x61626364;
    r->queue_ns = 0x71727374;
}

static void reply_inline(struct ros2i_msg *msg)
{
    reply(msg);
    msg->u.reply.payload_len = msg->u.reply.bytes;
    msg->u.reply.payload = pattern();
}

static void reply_largest(struct ros2i_msg *msg)
{
    reply(msg);
    msg->u.reply.offset = 0;
    msg->u.reply.bytes = msg->u.reply.payload_len = ROS2I_WIRE_INLINE_MAX;
    msg->u.reply.payload = pattern();
}

static void reply_error(struct ros2i_msg *msg)
{
    msg->type = ROS2I_MSG_REPLY;
    msg->request_id = 1;
    msg->u.reply.status = 4095;
    msg->u.reply.bytes = ROS2I_WIRE_IO_MAX;
}

const struct wire_sample wire_samples[] = {
    {"hello", hello},
    {"hello_largest", hello_largest},
    {"challenge", challenge},
    {"challenge_largest", challenge_largest},
    {"proof", proof},
    {"welcome", welcome},
    {"reject", reject},
    {"reject_bare", reject_bare},
    {"reject_largest", reject_largest},
    {"read_inline", read_inline},
    {"read_nothing", read_nothing},
    {"read_segments", read_segments},
    {"read_largest", read_largest},
    {"write_inline", write_inline},
    {"write_nothing", write_nothing},
    {"write_largest_inline", write_largest_inline},
    {"write_largest", write_largest},
    {"fsync", fsync_data},
    {"cancel", cancel},
    {"ping", ping},
    {"pong", pong},
    {"reply", reply},
    {"reply_inline", reply_inline},
    {"reply_largest", reply_largest},
    {"reply_error", reply_error},
    {"readv_inline", wire_readv_inline},
    {"readv_nothing", wire_readv_nothing},
    {"readv_segments", wire_readv_segments},
    {"readv_largest_inline", wire_readv_largest_inline},
    {"readv_largest", wire_readv_largest},
    {"close", wire_close},
    {"close_largest", wire_close_largest},
    {"reply_results", wire_reply_results},
    {"reply_results_inline", wire_reply_results_inline},
    {NULL, NULL},
};

void wire_sample_get(const struct wire_sample *sample, struct ros2i_msg *msg)
{
    memset(msg, 0, sizeof *msg);
    sample->fill(msg);
}

const struct wire_sample *wire_sample_find(const char *name)
{
    const struct wire_sample *sample = wire_samples;

    while (sample->name && strcmp(sample->name, name) != 0)
        sample++;
    return sample->name ? sample : NULL;
}

/* 0..most, often one of the ends. */
static uint64_t some(uint64_t *state, uint64_t most)
{
    switch (unit_next(state) % 4) {
    case 0:
        return 0;
    case 1:
        return most;
    default:
        return most == UINT64_MAX ? unit_next(state) : unit_next(state) % (most + 1);
    }
}

static void random_io(uint64_t *state, struct ros2i_msg *msg)
{
    struct ros2i_io_request *r = &msg->u.io;
    unsigned segments = (unsigned)some(state, ROS2I_WIRE_SEGMENTS_MAX);

    io(msg, unit_next(state) % 2 ? ROS2I_MSG_READ : ROS2I_MSG_WRITE, 0);
    msg->request_id = 1 + some(state, UINT64_MAX - 1);
    msg->flags = (uint16_t)(unit_next(state) % 4); /* CHECKSUM, REPLAY */
    r->handle = unit_next(state);
    for (unsigned i = 0; i < segments; i++) {
        uint32_t len = 1 + (uint32_t)some(state, ROS2I_WIRE_IO_MAX / ROS2I_WIRE_SEGMENTS_MAX - 1);

        add_segment(msg, unit_next(state), len, unit_next(state) % 2);
        r->segment[i].offset = some(state, UINT64_MAX - len);
        r->length += len;
    }
    if (segments == 0)
        r->length = (uint32_t)some(state, ROS2I_WIRE_INLINE_MAX);
    r->offset = some(state, (uint64_t)INT64_MAX - r->length);
    if (msg->type == ROS2I_MSG_WRITE && segments == 0 && r->length > 0)
        r->payload = pattern();
    if (msg->type == ROS2I_MSG_WRITE && (msg->flags & ROS2I_MSG_CHECKSUM)) {
        r->crc_count = (uint16_t)(r->length > 262144 ? (r->length - 1) / 262144 + 1 : 1);
        for (unsigned i = 0; i < r->crc_count; i++)
            r->crc[i] = (uint32_t)unit_next(state);
    }
}

static void random_reply(uint64_t *state, struct ros2i_msg *msg)
{
    struct ros2i_reply *r = &msg->u.reply;

    msg->type = ROS2I_MSG_REPLY;
    msg->flags = (uint16_t)(unit_next(state) % 2);
    msg->request_id = 1 + some(state, UINT64_MAX - 1);
    r->status = (uint32_t)some(state, 4095);
    r->bytes = (uint32_t)some(state, ROS2I_WIRE_IO_MAX);
    r->offset = some(state, (uint64_t)INT64_MAX - r->bytes);
    r->durability_epoch = unit_next(state);
    r->crc = msg->flags & ROS2I_MSG_CHECKSUM ? (uint32_t)unit_next(state) : 0;
    r->engine_ns = (uint32_t)unit_next(state);
    r->queue_ns = (uint32_t)some(state, UINT32_MAX);
    if (r->status == 0 && r->bytes > 0 && r->bytes <= ROS2I_WIRE_INLINE_MAX) {
        r->payload_len = r->bytes;
        r->payload = pattern();
    }
}

void wire_random(uint64_t *state, struct ros2i_msg *msg)
{
    size_t count = 0;

    memset(msg, 0, sizeof *msg);
    switch (unit_next(state) % 4) {
    case 0:
        random_io(state, msg);
        break;
    case 2:
        wire_random_vector(state, msg);
        break;
    case 1:
        random_reply(state, msg);
        break;
    default:
        while (wire_samples[count].name)
            count++;
        wire_sample_get(&wire_samples[unit_next(state) % count], msg);
    }
}

int wire_whole(const struct ros2i_msg *msg, uint8_t *buf)
{
    int len = ros2i_wire_encode(msg, buf, ROS2I_WIRE_MESSAGE_MAX);
    const void *payload = NULL;
    size_t payload_len = 0;

    if (len < 0)
        return len;
    if (msg->type == ROS2I_MSG_WRITE && msg->u.io.segment_count == 0) {
        payload = msg->u.io.payload;
        payload_len = msg->u.io.length;
    } else if (msg->type == ROS2I_MSG_REPLY) {
        payload = msg->u.reply.payload;
        payload_len = msg->u.reply.payload_len;
    } else if (msg->type == ROS2I_MSG_READV) {
        payload = msg->u.vector.extents;
        payload_len = (size_t)msg->u.vector.extent_count * ROS2I_WIRE_EXTENT_LEN;
    } else if (msg->type == ROS2I_MSG_CLOSE) {
        payload = msg->u.close.handles;
        payload_len = (size_t)msg->u.close.count * 8;
    }
    if (payload_len > 0)
        memcpy(buf + len, payload, payload_len);
    return len + (int)payload_len;
}

static bool same_bytes(const void *a, const void *b, size_t len)
{
    return len == 0 ? !a == !b : a && b && memcmp(a, b, len) == 0;
}

static bool same_hello(const struct ros2i_hello *a, const struct ros2i_hello *b)
{
    return a->version_min == b->version_min && a->version_max == b->version_max &&
           memcmp(a->session_id, b->session_id, 16) == 0 &&
           memcmp(a->process_nonce, b->process_nonce, 16) == 0 &&
           memcmp(a->client_nonce, b->client_nonce, 32) == 0 && a->epoch == b->epoch &&
           a->queue == b->queue && a->credits == b->credits && a->inline_limit == b->inline_limit &&
           a->options == b->options;
}

static bool same_challenge(const struct ros2i_challenge *a, const struct ros2i_challenge *b)
{
    return a->version == b->version && a->credits == b->credits &&
           a->inline_limit == b->inline_limit && a->max_io == b->max_io &&
           a->options == b->options && a->checksum_block == b->checksum_block &&
           memcmp(a->server_nonce, b->server_nonce, 32) == 0;
}

static bool same_io(const struct ros2i_io_request *a, const struct ros2i_io_request *b,
                    uint8_t type)
{
    if (a->handle != b->handle || a->offset != b->offset || a->length != b->length ||
        a->segment_count != b->segment_count || a->crc_count != b->crc_count)
        return false;
    for (unsigned i = 0; i < a->segment_count; i++) {
        const struct ros2i_segment *x = &a->segment[i], *y = &b->segment[i];

        if (x->id != y->id || x->offset != y->offset || x->len != y->len || x->kind != y->kind)
            return false;
    }
    bool inline_write = type == ROS2I_MSG_WRITE && a->segment_count == 0;
    return memcmp(a->crc, b->crc, a->crc_count * sizeof *a->crc) == 0 &&
           same_bytes(a->payload, b->payload, inline_write ? a->length : 0);
}

static bool same_reply(const struct ros2i_reply *a, const struct ros2i_reply *b)
{
    return a->status == b->status && a->bytes == b->bytes && a->offset == b->offset &&
           a->durability_epoch == b->durability_epoch && a->crc == b->crc &&
           a->engine_ns == b->engine_ns && a->queue_ns == b->queue_ns &&
           a->payload_len == b->payload_len && same_bytes(a->payload, b->payload, a->payload_len);
}

bool wire_equal(const struct ros2i_msg *a, const struct ros2i_msg *b)
{
    if (a->type != b->type || a->flags != b->flags || a->request_id != b->request_id)
        return false;
    switch (a->type) {
    case ROS2I_MSG_HELLO:
        return same_hello(&a->u.hello, &b->u.hello);
    case ROS2I_MSG_CHALLENGE:
        return same_challenge(&a->u.challenge, &b->u.challenge);
    case ROS2I_MSG_PROOF:
    case ROS2I_MSG_WELCOME:
        return memcmp(a->u.proof, b->u.proof, sizeof a->u.proof) == 0;
    case ROS2I_MSG_REJECT:
        return a->u.reject.err == b->u.reject.err && a->u.reject.text_len == b->u.reject.text_len &&
               same_bytes(a->u.reject.text, b->u.reject.text, a->u.reject.text_len);
    case ROS2I_MSG_READ:
    case ROS2I_MSG_WRITE:
        return same_io(&a->u.io, &b->u.io, a->type);
    case ROS2I_MSG_READV:
        return wire_same_vector(&a->u.vector, &b->u.vector);
    case ROS2I_MSG_CLOSE:
        return a->u.close.count == b->u.close.count &&
               memcmp(a->u.close.handles, b->u.close.handles, (size_t)a->u.close.count * 8) == 0;
    case ROS2I_MSG_REPLY:
        return same_reply(&a->u.reply, &b->u.reply);
    default:
        return a->u.opaque == b->u.opaque; /* handle, target_id and opaque share their place */
    }
}
