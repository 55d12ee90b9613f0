/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C against RFC 3720 B.4 and a bit-by-bit computation. */
#include "config.h"

#include "tests/unit/unit.h"

#include "lib/protocol/checksum.h"

static uint32_t bit_by_bit(uint32_t crc, const uint8_t *buf, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= buf[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void known_vectors_match(void **state)
{
    uint8_t buf[32];

    (void)state;
    assert_int_equal(ros2i_crc32c(0, "123456789", 9), 0xe3069283);
    memset(buf, 0, sizeof buf);
    assert_int_equal(ros2i_crc32c(0, buf, 32), 0x8a9136aa);
    memset(buf, 0xff, sizeof buf);
    assert_int_equal(ros2i_crc32c(0, buf, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        buf[i] = (uint8_t)i;
    assert_int_equal(ros2i_crc32c(0, buf, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        buf[i] = (uint8_t)(31 - i);
    assert_int_equal(ros2i_crc32c(0, buf, 32), 0x113fdb5c);
}

static void no_bytes_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(ros2i_crc32c(0, "", 0), 0);
    assert_int_equal(ros2i_crc32c(0x12345678, NULL, 0), 0x12345678);
}

static void every_length_and_split_agrees_with_the_definition(void **state)
{
    static uint8_t buf[3000];
    uint64_t seed = 4;

    (void)state;
    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)unit_next(&seed);
    for (int round = 0; round < 3000; round++) {
        size_t start = unit_next(&seed) % 64, len = unit_next(&seed) % (sizeof buf - 64);
        size_t split = len ? unit_next(&seed) % len : 0;
        uint32_t expected = bit_by_bit(0, buf + start, len);

        assert_int_equal(ros2i_crc32c(0, buf + start, len), expected);
        uint32_t first = ros2i_crc32c(0, buf + start, split);
        assert_int_equal(ros2i_crc32c(first, buf + start + split, len - split), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors_match),
        cmocka_unit_test(no_bytes_change_nothing),
        cmocka_unit_test(every_length_and_split_agrees_with_the_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
