/* SPDX-License-Identifier: Apache-2.0 */
/* Each field of each message: its limit is accepted, one over is refused at both ends with a text that names it. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>

#include "lib/base/error.h"
#include "lib/protocol/wire.h"
#include "tests/unit/wire_samples.h"

#define MIB (1u << 20)

struct field_case {
    const char *sample;
    unsigned at, width; /* of the field in the message, bytes */
    uint64_t good, bad;
    const char *text; /* the refusal's */
};

/* Offsets: header 16, then docs/PROTOCOL.md. */
static const struct field_case field_cases[] = {
    {"hello", 16, 4, ROS2I_WIRE_MAGIC, ROS2I_WIRE_MAGIC + 1, "magic"},
    {"hello", 20, 2, 1, 0, "versions"},
    {"hello", 20, 2, 1, 2, "versions 2..1"},
    {"hello", 22, 2, UINT16_MAX, 0, "versions"},
    {"hello", 88, 8, 1, 0, "epoch"},
    {"hello", 88, 8, UINT64_MAX, 0, "epoch"},
    {"hello", 100, 4, 1, 0, "credits 0"},
    {"hello", 100, 4, 1024, 1025, "credits 1025"},
    {"hello", 104, 4, 32768, 32769, "inline limit 32769"},
    {"hello", 104, 4, 0, UINT32_MAX, "inline limit"},
    {"hello", 108, 4, 1, 2, "options"},
    {"hello", 108, 4, 0, 0x80000001, "options"},
    {"challenge", 16, 2, 1, 0, "version 0"},
    {"challenge", 16, 2, 1, 2, "version 2"},
    {"challenge", 18, 2, 0, 1, "reserved"},
    {"challenge", 18, 2, 0, 0x8000, "reserved"},
    {"challenge", 20, 4, 1, 0, "credits"},
    {"challenge", 20, 4, 1024, 1025, "credits"},
    {"challenge", 24, 4, 32768, 32769, "inline limit"},
    {"challenge", 28, 4, 1, 0, "max_io"},
    {"challenge", 28, 4, 16 * MIB, 16 * MIB + 1, "max_io"},
    {"challenge", 32, 4, 0, 2, "options"},
    {"challenge", 36, 4, 65536, 32768, "checksum block"},
    {"challenge", 36, 4, 16 * MIB, 32 * MIB, "checksum block"},
    {"challenge", 36, 4, 131072, 131073, "checksum block"},
    {"challenge_largest", 36, 4, 262144, 131072, "over 64 checksums"},
    {"reject", 16, 4, 1, 0, "error 0"},
    {"reject", 16, 4, 4095, 4096, "error 4096"},
    {"reject", 20, 2, 33, 34, "body"},
    {"reject", 20, 2, 33, 32, "body"},
    {"reject_largest", 20, 2, 255, 256, "text of 256"},
    {"reject", 22, 2, 0, 1, "reserved"},
    {"reject", 22, 2, 0, 0x8000, "reserved"},
    {"read_inline", 24, 8, INT64_MAX - 4096, INT64_MAX - 4095, "offset"},
    {"read_inline", 24, 8, 0, UINT64_MAX, "offset"},
    {"read_inline", 32, 4, 32768, 32769, "without segments"},
    {"read_inline", 36, 2, 0, 17, "17 segments"},
    {"read_inline", 36, 2, 0, UINT16_MAX, "segments"},
    {"read_inline", 36, 2, 0, 1, "ends within"},
    {"read_inline", 38, 2, 0, 65, "65 checksums"},
    {"read_inline", 38, 2, 0, 1, "ends within"},
    {"read_segments", 32, 4, 3000, 3001, "segments hold 3000"},
    {"read_segments", 36, 2, 2, 1, "segments hold 1000"},
    {"read_segments", 48, 8, UINT64_MAX - 1000, UINT64_MAX - 999, "segment 0, offset"},
    {"read_segments", 56, 4, 1000, 1001, "segments hold"},
    {"read_segments", 56, 4, 1000, 0, "segment 0 has length 0"},
    {"read_segments", 80, 4, 2000, UINT32_MAX, "segments hold"},
    {"read_segments", 60, 4, 0, 2, "kind 2"},
    {"read_segments", 84, 4, 1, UINT32_MAX, "segment 1 has unknown kind"},
    {"write_inline", 32, 4, 100, 101, "body"},
    {"write_inline", 32, 4, 100, 99, "body"},
    {"write_inline", 32, 4, 100, 32769, "without segments"},
    {"write_inline", 2, 2, 0, 1, "0 checksums"},
    {"write_largest_inline", 2, 2, 1, 0, "1 checksums"},
    {"write_largest_inline", 38, 2, 1, 2, "2 checksums"},
    {"write_largest_inline", 38, 2, 1, 0, "0 checksums"},
    {"write_largest", 32, 4, 16 * MIB, 16 * MIB + 1, "length 16777217, at most"},
    {"write_largest", 38, 2, 64, 65, "65 checksums"},
    {"cancel", 16, 8, 1, 0, "target"},
    {"reply", 16, 4, 4095, 4096, "status 4096"},
    {"reply", 20, 4, 16 * MIB, 16 * MIB + 1, "bytes"},
    {"reply", 24, 8, INT64_MAX - 100, INT64_MAX - 99, "offset"},
    {"reply", 2, 2, 1, 0, "checksum"},
    {"reply", 52, 4, 0, 100, "body"},
    {"reply", 52, 4, 0, 99, "payload"},
    {"reply_inline", 16, 4, 0, 5, "payload"},
    {"reply_inline", 20, 4, 100, 101, "payload"},
    {"reply_inline", 52, 4, 100, 101, "payload"},
    {"reply_error", 16, 4, 1, UINT32_MAX, "status"},
    {"readv_inline", 16, 2, 3, 0, "0 extents"},
    {"readv_inline", 16, 2, 3, 1025, "1025 extents"},
    {"readv_inline", 16, 2, 3, UINT16_MAX, "extents, allowed"},
    {"readv_inline", 16, 2, 3, 4, "ends within"},
    {"readv_inline", 16, 2, 3, 2, "extents hold 2000"},
    {"readv_inline", 18, 2, 0, 17, "17 segments"},
    {"readv_inline", 18, 2, 0, 1, "ends within"},
    {"readv_inline", 20, 4, 3000, 3001, "extents hold 3000"},
    {"readv_inline", 20, 4, 3000, 32768 - 23, "ride inline"},
    {"readv_inline", 32, 8, INT64_MAX - 1000, INT64_MAX - 999, "extent 0, offset"},
    {"readv_inline", 40, 4, 1000, UINT32_MAX, "extent"},
    {"readv_inline", 64, 4, 1000, 999, "extents hold 2999"},
    {"readv_inline", 92, 4, 0, 1, "reserved"},
    {"readv_largest_inline", 20, 4, 24576, 24577, "ride inline"},
    {"readv_largest", 20, 4, 16 * MIB, 16 * MIB + 1, "length 16777217, at most"},
    {"readv_segments", 32, 8, UINT64_MAX - 1000, UINT64_MAX - 999, "segment 0, offset"},
    {"readv_segments", 40, 4, 1000, 1001, "segments hold 3001"},
    {"readv_segments", 40, 4, 1000, 0, "segment 0 has length 0"},
    {"readv_segments", 44, 4, 1, 2, "kind 2"},
    {"close", 16, 4, 2, 0, "0 handles"},
    {"close", 16, 4, 2, 4097, "4097 handles"},
    {"close", 16, 4, 2, UINT32_MAX, "handles"},
    {"close", 16, 4, 2, 1, "body"},
    {"close", 16, 4, 2, 3, "body"},
    {"reply_results", 16, 4, 0, 5, "results"},
    {"reply_results", 52, 4, 8, 7, "results"},
    {"reply_results", 52, 4, 8, 9, "body"},
    {"reply_results", 2, 2, 8, 0, "payload"},
};

static void patch(uint8_t *bytes, const struct field_case *c, uint64_t value)
{
    for (unsigned i = 0; i < c->width; i++)
        bytes[c->at + i] = (uint8_t)(value >> (8 * i));
}

static void every_field_is_accepted_at_its_limit_and_refused_past_it(void **state)
{
    static uint8_t bytes[ROS2I_WIRE_MESSAGE_MAX];
    struct ros2i_msg msg;

    (void)state;
    for (size_t i = 0; i < COUNT(field_cases); i++) {
        const struct field_case *c = &field_cases[i];

        wire_sample_get(wire_sample_find(c->sample), &msg);
        size_t len = (size_t)wire_whole(&msg, bytes);
        patch(bytes, c, c->bad);
        int rc = ros2i_wire_decode(bytes, len, &msg);
        if (rc != -EPROTO || !strstr(ros2i_error(), c->text))
            fail_msg("%s at %u with %llu: %d %s", c->sample, c->at, (unsigned long long)c->bad, rc,
                     ros2i_error());
    }
}

/* Where the good value stands alone, i.e. changes no length, it has to be accepted. */
static void every_limit_itself_is_accepted(void **state)
{
    static uint8_t bytes[ROS2I_WIRE_MESSAGE_MAX];
    struct ros2i_msg msg;

    (void)state;
    for (size_t i = 0; i < COUNT(field_cases); i++) {
        const struct field_case *c = &field_cases[i];

        wire_sample_get(wire_sample_find(c->sample), &msg);
        size_t len = (size_t)wire_whole(&msg, bytes);
        patch(bytes, c, c->good);
        if (ros2i_wire_decode(bytes, len, &msg) != 0)
            fail_msg("%s at %u with %llu: %s", c->sample, c->at, (unsigned long long)c->good,
                     ros2i_error());
    }
}

/* What encode has to refuse although no bytes exist yet: a change made to a good message. */
struct encode_case {
    const char *sample;
    void (*spoil)(struct ros2i_msg *msg);
};

static void spoil_versions(struct ros2i_msg *msg)
{
    msg->u.hello.version_min = 2;
}
static void spoil_epoch(struct ros2i_msg *msg)
{
    msg->u.hello.epoch = 0;
}
static void spoil_hello_options(struct ros2i_msg *msg)
{
    msg->u.hello.options = 2;
}
static void spoil_credits(struct ros2i_msg *msg)
{
    msg->u.challenge.credits = 1025;
}
static void spoil_block(struct ros2i_msg *msg)
{
    msg->u.challenge.checksum_block = 65537;
}
static void spoil_text(struct ros2i_msg *msg)
{
    msg->u.reject.text_len = 256;
}
static void spoil_err(struct ros2i_msg *msg)
{
    msg->u.reject.err = 0;
}
static void spoil_length(struct ros2i_msg *msg)
{
    msg->u.io.length++;
}
static void spoil_length_and_segment(struct ros2i_msg *msg)
{
    msg->u.io.length++;
    msg->u.io.segment[0].len++;
}
static void spoil_segment_count(struct ros2i_msg *msg)
{
    msg->u.io.segment_count = 17;
}
static void spoil_segment_kind(struct ros2i_msg *msg)
{
    msg->u.io.segment[1].kind = 2;
}
static void spoil_segment_offset(struct ros2i_msg *msg)
{
    msg->u.io.segment[0].offset = UINT64_MAX;
}
static void spoil_segment_len(struct ros2i_msg *msg)
{
    msg->u.io.segment[0].len = 0;
}
static void spoil_offset(struct ros2i_msg *msg)
{
    msg->u.io.offset = INT64_MAX;
}
static void spoil_crc_count(struct ros2i_msg *msg)
{
    msg->u.io.crc_count = 65;
}
static void spoil_read_crcs(struct ros2i_msg *msg)
{
    msg->u.io.crc_count = 1;
}
static void spoil_inline_length(struct ros2i_msg *msg)
{
    msg->u.io.length = ROS2I_WIRE_INLINE_MAX + 1;
}
static void spoil_target(struct ros2i_msg *msg)
{
    msg->u.target_id = 0;
}
static void spoil_status(struct ros2i_msg *msg)
{
    msg->u.reply.status = 4096;
}
static void spoil_payload_len(struct ros2i_msg *msg)
{
    msg->u.reply.payload_len = 99;
}
static void spoil_large_payload(struct ros2i_msg *msg)
{
    msg->u.reply.bytes = msg->u.reply.payload_len = ROS2I_WIRE_INLINE_MAX + 1;
}
static void spoil_crc_without_flag(struct ros2i_msg *msg)
{
    msg->flags = 0;
}
static void spoil_reply_bytes(struct ros2i_msg *msg)
{
    msg->u.reply.bytes = ROS2I_WIRE_IO_MAX + 1;
}

static void spoil_extent_count(struct ros2i_msg *msg)
{
    msg->u.vector.extent_count = 0;
}
static void spoil_vector_length(struct ros2i_msg *msg)
{
    msg->u.vector.length++;
}
static void spoil_vector_segment(struct ros2i_msg *msg)
{
    msg->u.vector.segment[1].len++;
}
static void spoil_close_count(struct ros2i_msg *msg)
{
    msg->u.close.count = ROS2I_WIRE_CLOSES_MAX + 1;
}
static void spoil_results(struct ros2i_msg *msg)
{
    msg->u.reply.payload_len = 4;
}

static const struct encode_case encode_cases[] = {
    {"hello", spoil_versions},
    {"hello", spoil_epoch},
    {"hello", spoil_hello_options},
    {"challenge", spoil_credits},
    {"challenge", spoil_block},
    {"reject_largest", spoil_text},
    {"reject", spoil_err},
    {"read_segments", spoil_length},
    {"read_segments", spoil_segment_count},
    {"read_segments", spoil_segment_kind},
    {"read_segments", spoil_segment_offset},
    {"read_segments", spoil_segment_len},
    {"read_segments", spoil_offset},
    {"read_segments", spoil_read_crcs},
    {"read_inline", spoil_inline_length},
    {"write_largest", spoil_length},
    {"write_largest", spoil_length_and_segment},
    {"read_largest", spoil_length_and_segment},
    {"write_largest", spoil_crc_count},
    {"write_largest_inline", spoil_length},
    {"cancel", spoil_target},
    {"reply_error", spoil_status},
    {"reply_inline", spoil_payload_len},
    {"reply_largest", spoil_large_payload},
    {"reply", spoil_crc_without_flag},
    {"reply", spoil_reply_bytes},
    {"readv_inline", spoil_extent_count},
    {"readv_largest_inline", spoil_vector_length},
    {"readv_largest", spoil_vector_length},
    {"readv_segments", spoil_vector_segment},
    {"close", spoil_close_count},
    {"reply_results", spoil_results},
};

static void encode_refuses_what_decode_would_refuse(void **state)
{
    static uint8_t bytes[ROS2I_WIRE_MESSAGE_MAX];
    struct ros2i_msg msg;

    (void)state;
    for (size_t i = 0; i < COUNT(encode_cases); i++) {
        wire_sample_get(wire_sample_find(encode_cases[i].sample), &msg);
        assert_true(wire_whole(&msg, bytes) > 0);
        encode_cases[i].spoil(&msg);
        if (ros2i_wire_encode(&msg, bytes, sizeof bytes) != -EINVAL)
            fail_msg("case %zu of %s is encoded", i, encode_cases[i].sample);
    }
}

/* Each bit of the reserved bytes on its own. */
static void each_reserved_bit_must_be_zero(void **state)
{
    static const struct {
        const char *sample;
        unsigned at, len;
    } reserved[] = {
        {"challenge", 18, 2}, {"reject", 22, 2}, {"readv_inline", 44, 4}, {"close", 20, 4}};
    uint8_t bytes[1024];
    struct ros2i_msg msg;

    (void)state;
    for (size_t i = 0; i < COUNT(reserved); i++) {
        wire_sample_get(wire_sample_find(reserved[i].sample), &msg);
        size_t len = (size_t)wire_whole(&msg, bytes);
        for (unsigned bit = 0; bit < 8 * reserved[i].len; bit++) {
            bytes[reserved[i].at + bit / 8] ^= (uint8_t)(1 << (bit % 8));
            assert_int_equal(ros2i_wire_decode(bytes, len, &msg), -EPROTO);
            assert_text_has(ros2i_error(), "reserved");
            bytes[reserved[i].at + bit / 8] ^= (uint8_t)(1 << (bit % 8));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_accepted_at_its_limit_and_refused_past_it),
        cmocka_unit_test(every_limit_itself_is_accepted),
        cmocka_unit_test(encode_refuses_what_decode_would_refuse),
        cmocka_unit_test(each_reserved_bit_must_be_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
