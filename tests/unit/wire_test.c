/* SPDX-License-Identifier: Apache-2.0 */
/* The codec as a whole: what is encoded comes back, and nothing but it. */
#include "config.h"

#include "tests/unit/unit.h"

#include <errno.h>

#include "lib/base/error.h"
#include "lib/protocol/wire.h"
#include "tests/unit/wire_samples.h"

static uint8_t whole[ROS2I_WIRE_MESSAGE_MAX];

/* Decodes a copy in memory of just that size, so that the address sanitizer sees a step too far. */
static int decode_copy(const uint8_t *bytes, size_t len)
{
    struct ros2i_msg msg;
    uint8_t *copy = malloc(len ? len : 1);

    memcpy(copy, bytes, len);
    int rc = ros2i_wire_decode(copy, len, &msg);
    free(copy);
    return rc;
}

static void every_message_survives_the_round_trip(void **state)
{
    struct ros2i_msg msg, back;

    (void)state;
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        int len = wire_whole(&msg, whole);
        if (len <= 0 || ros2i_wire_decode(whole, (size_t)len, &back) != 0 ||
            !wire_equal(&msg, &back))
            fail_msg("%s: %d %s", s->name, len, ros2i_error());
    }
}

static void random_messages_survive_the_round_trip(void **state)
{
    struct ros2i_msg msg, back;
    uint64_t seed = 11;

    (void)state;
    for (int round = 0; round < 5000; round++) {
        wire_random(&seed, &msg);
        int len = wire_whole(&msg, whole);
        if (len <= 0 || ros2i_wire_decode(whole, (size_t)len, &back) != 0 ||
            !wire_equal(&msg, &back))
            fail_msg("round %d type %u: %d %s", round, msg.type, len, ros2i_error());
    }
}

static void messages_decode_at_any_alignment(void **state)
{
    static uint8_t shifted[ROS2I_WIRE_MESSAGE_MAX + 8];
    struct ros2i_msg msg, back;

    (void)state;
    wire_sample_get(wire_sample_find("write_largest"), &msg);
    for (size_t shift = 0; shift < 8; shift++) {
        int len = ros2i_wire_encode(&msg, shifted + shift, sizeof shifted - shift);
        assert_true(len > 0);
        assert_int_equal(ros2i_wire_decode(shifted + shift, (size_t)len, &back), 0);
        assert_true(wire_equal(&msg, &back));
    }
}

/* docs/PROTOCOL.md, byte by byte: a change here is another protocol. */
static void the_layout_is_that_of_the_specification(void **state)
{
    static const uint8_t read_bytes[] = {
        1,    16,   3, 0, 88, 0, 0, 0, 3,  0,    9, 0, 0, 0, 0, 0, /* header */
        2,    0,    0, 0, 1,  0, 0, 0, 0,  0x10, 0, 0, 0, 0, 0, 0, /* handle, offset */
        0xb8, 0x0b, 0, 0, 2,  0, 0, 0,                             /* length, counts */
        5,    0,    0, 0, 0,  0, 0, 0, 40, 0,    0, 0, 0, 0, 0, 0, /* segment 0 */
        0xe8, 3,    0, 0, 1,  0, 0, 0,                             /* */
        6,    0,    0, 0, 0,  0, 0, 0, 48, 0,    0, 0, 0, 0, 0, 0, /* segment 1 */
        0xd0, 7,    0, 0, 0,  0, 0, 0};
    static const uint8_t reply_bytes[] = {
        1,    32,   1,    0,    56,   0,    0,    0,
        3,    0,    9,    0,    0,    0,    0,    0,    /* header */
        0,    0,    0,    0,    100,  0,    0,    0,    /* status, bytes */
        0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31, /* offset */
        0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41, /* durability epoch */
        0x54, 0x53, 0x52, 0x51, 0x64, 0x63, 0x62, 0x61,
        0x74, 0x73, 0x72, 0x71, 0,    0,    0,    0};
    static const uint8_t readv_bytes[] = {
        1,    21, 3, 0, 120,  0,    0, 0, 3,  0,    9, 0, 0, 0, 0, 0, /* header */
        2,    0,  2, 0, 0xb8, 0x0b, 0, 0,                             /* counts, length */
        5,    0,  0, 0, 0,    0,    0, 0, 40, 0,    0, 0, 0, 0, 0, 0, /* segment 0 */
        0xe8, 3,  0, 0, 1,    0,    0, 0,                             /* */
        6,    0,  0, 0, 0,    0,    0, 0, 48, 0,    0, 0, 0, 0, 0, 0, /* segment 1 */
        0xd0, 7,  0, 0, 0,    0,    0, 0,                             /* */
        2,    0,  0, 0, 1,    0,    0, 0, 0,  0,    0, 0, 0, 0, 0, 0, /* extent 0 */
        0xdc, 5,  0, 0, 0,    0,    0, 0,                             /* */
        3,    0,  0, 0, 1,    0,    0, 0, 0,  0x10, 0, 0, 0, 0, 0, 0, /* extent 1 */
        0xdc, 5,  0, 0, 0,    0,    0, 0};
    static const uint8_t close_bytes[] = {1, 22, 2, 0, 40, 0,  0,  0,  0, 0, 10, 0, 0, 0,
                                          0, 0,  2, 0, 0,  0,  0,  0,  0, 0, 8,  7, 6, 5,
                                          4, 3,  2, 1, 16, 14, 12, 10, 8, 6, 4,  2};
    static const uint8_t hello_start[] = {1, 1, 0, 0,   112, 0,   0,   0, 0, 0, 0, 0,    0,
                                          0, 0, 0, 'R', 'O', 'S', '2', 1, 0, 1, 0, 0x10, 0x11};
    static const uint8_t hello_end[] = {8,  7, 6, 5, 4, 3,    2, 1, 0x14, 0x13, 0x12, 0x11,
                                        64, 0, 0, 0, 0, 0x10, 0, 0, 1,    0,    0,    0};
    struct ros2i_msg msg;

    (void)state;
    wire_sample_get(wire_sample_find("read_segments"), &msg);
    assert_int_equal(wire_whole(&msg, whole), sizeof read_bytes);
    assert_memory_equal(whole, read_bytes, sizeof read_bytes);
    wire_sample_get(wire_sample_find("reply"), &msg);
    assert_int_equal(wire_whole(&msg, whole), sizeof reply_bytes);
    assert_memory_equal(whole, reply_bytes, sizeof reply_bytes);
    wire_sample_get(wire_sample_find("readv_segments"), &msg);
    assert_int_equal(wire_whole(&msg, whole), sizeof readv_bytes);
    assert_memory_equal(whole, readv_bytes, sizeof readv_bytes);
    wire_sample_get(wire_sample_find("close"), &msg);
    assert_int_equal(wire_whole(&msg, whole), sizeof close_bytes);
    assert_memory_equal(whole, close_bytes, sizeof close_bytes);
    wire_sample_get(wire_sample_find("hello"), &msg);
    assert_int_equal(wire_whole(&msg, whole), 112);
    assert_memory_equal(whole, hello_start, sizeof hello_start);
    assert_memory_equal(whole + 112 - sizeof hello_end, hello_end, sizeof hello_end);
}

static void set_length(uint8_t *bytes, size_t len)
{
    for (int i = 0; i < 4; i++)
        bytes[4 + i] = (uint8_t)(len >> (8 * i));
}

static void a_message_cut_at_any_byte_is_refused(void **state)
{
    struct ros2i_msg msg;

    (void)state;
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        size_t len = (size_t)wire_whole(&msg, whole);
        for (size_t cut = 0; cut < len; cut += cut < 1000 ? 1 : 997) {
            set_length(whole, len);
            assert_int_equal(decode_copy(whole, cut), -EPROTO);
            if (cut >= 8)
                set_length(whole, cut); /* a header that fits the cut is no excuse */
            assert_int_equal(decode_copy(whole, cut), -EPROTO);
        }
    }
}

static void bytes_behind_a_message_are_refused(void **state)
{
    struct ros2i_msg msg;

    (void)state;
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        size_t len = (size_t)wire_whole(&msg, whole);
        for (size_t more = 1; more <= 24 && len + more <= sizeof whole; more++) {
            memset(whole + len, 0, more);
            set_length(whole, len);
            assert_int_equal(decode_copy(whole, len + more), -EPROTO);
            set_length(whole, len + more);
            assert_int_equal(decode_copy(whole, len + more), -EPROTO);
        }
    }
}

static void other_versions_and_unknown_types_are_refused(void **state)
{
    struct ros2i_msg msg;

    (void)state;
    wire_sample_get(wire_sample_find("ping"), &msg);
    size_t len = (size_t)wire_whole(&msg, whole);
    for (unsigned version = 0; version < 256; version++) {
        whole[0] = (uint8_t)version;
        assert_int_equal(decode_copy(whole, len), version == 1 ? 0 : -EPROTO);
    }
    whole[0] = 1;
    for (unsigned type = 0; type < 256; type++) {
        int known =
            (type >= 1 && type <= 5) || (type >= 16 && type <= 22) || type == 32 || type == 33;

        whole[1] = (uint8_t)type;
        if (!known) {
            assert_int_equal(decode_copy(whole, len), -EPROTO);
            assert_text_has(ros2i_error(), "type");
            msg.type = (uint8_t)type;
            assert_int_equal(ros2i_wire_encode(&msg, whole + 100, 100), -EINVAL);
        }
    }
}

static uint16_t known_flags(uint8_t type)
{
    switch (type) {
    case ROS2I_MSG_READ:
    case ROS2I_MSG_WRITE:
    case ROS2I_MSG_READV:
        return ROS2I_MSG_CHECKSUM | ROS2I_MSG_REPLAY;
    case ROS2I_MSG_CLOSE:
        return ROS2I_MSG_REPLAY;
    case ROS2I_MSG_FSYNC:
        return ROS2I_MSG_DATASYNC | ROS2I_MSG_REPLAY;
    case ROS2I_MSG_REPLY:
        return ROS2I_MSG_CHECKSUM | ROS2I_MSG_VECTOR;
    default:
        return 0;
    }
}

static void each_flag_that_a_type_does_not_have_is_refused(void **state)
{
    struct ros2i_msg msg;

    (void)state;
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        size_t len = (size_t)wire_whole(&msg, whole);
        uint16_t flags = msg.flags;
        for (int bit = 0; bit < 16; bit++) {
            if (known_flags(msg.type) & (1 << bit))
                continue;
            msg.flags = (uint16_t)(flags | 1 << bit);
            whole[2] = (uint8_t)msg.flags;
            whole[3] = (uint8_t)(msg.flags >> 8);
            assert_int_equal(decode_copy(whole, len), -EPROTO);
            assert_text_has(ros2i_error(), "flags");
            assert_int_equal(ros2i_wire_encode(&msg, whole, sizeof whole), -EINVAL);
        }
    }
}

static void request_ids_are_zero_where_there_is_no_request(void **state)
{
    struct ros2i_msg msg;

    (void)state;
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        if (msg.type == ROS2I_MSG_PING || msg.type == ROS2I_MSG_PONG)
            continue;
        size_t len = (size_t)wire_whole(&msg, whole);
        if (msg.request_id != 0)
            memset(whole + 8, 0, 8);
        else
            whole[15] = 1;
        assert_int_equal(decode_copy(whole, len), -EPROTO);
        assert_text_has(ros2i_error(), "request id");
        msg.request_id = !msg.request_id;
        assert_int_equal(ros2i_wire_encode(&msg, whole, sizeof whole), -EINVAL);
    }
}

static void a_buffer_too_small_is_reported_and_left_alone(void **state)
{
    struct ros2i_msg msg;
    uint8_t buf[1024], before[1024];

    (void)state;
    memset(before, 0x5a, sizeof before);
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        int len = ros2i_wire_encode(&msg, buf, sizeof buf);
        assert_true(len > 0);
        memset(buf, 0x5a, sizeof buf);
        for (size_t room = 0; room < (size_t)len; room++)
            assert_int_equal(ros2i_wire_encode(&msg, buf, room), -ENOSPC);
        assert_memory_equal(buf, before, sizeof buf);
        assert_int_equal(ros2i_wire_encode(&msg, buf, (size_t)len), len);
        assert_memory_equal(buf + len, before, sizeof buf - (size_t)len);
    }
}

/* Whatever a mutation makes of a message: it is refused, or it is a message with just those bytes. */
static void mutated_bytes_are_refused_or_mean_exactly_themselves(void **state)
{
    static uint8_t mutated[ROS2I_WIRE_MESSAGE_MAX], again[ROS2I_WIRE_MESSAGE_MAX];
    struct ros2i_msg msg;
    uint64_t seed = 21;
    int accepted = 0;

    (void)state;
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        size_t len = (size_t)wire_whole(&msg, whole);
        for (int round = 0; round < 2000; round++) {
            memcpy(mutated, whole, len);
            for (uint64_t flips = 1 + unit_next(&seed) % 3; flips > 0; flips--)
                mutated[unit_next(&seed) % (len < 120 ? len : 120)] ^=
                    (uint8_t)(1 << (unit_next(&seed) % 8));
            if (ros2i_wire_decode(mutated, len, &msg) != 0)
                continue;
            accepted++;
            assert_int_equal(wire_whole(&msg, again), len);
            assert_memory_equal(again, mutated, len);
        }
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_the_round_trip),
        cmocka_unit_test(random_messages_survive_the_round_trip),
        cmocka_unit_test(messages_decode_at_any_alignment),
        cmocka_unit_test(the_layout_is_that_of_the_specification),
        cmocka_unit_test(a_message_cut_at_any_byte_is_refused),
        cmocka_unit_test(bytes_behind_a_message_are_refused),
        cmocka_unit_test(other_versions_and_unknown_types_are_refused),
        cmocka_unit_test(each_flag_that_a_type_does_not_have_is_refused),
        cmocka_unit_test(request_ids_are_zero_where_there_is_no_request),
        cmocka_unit_test(a_buffer_too_small_is_reported_and_left_alone),
        cmocka_unit_test(mutated_bytes_are_refused_or_mean_exactly_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
