/* SPDX-License-Identifier: Apache-2.0 */
/* Escaping: whatever goes in, one line of printable UTF-8 comes out. */
#include "config.h"

#include "tests/unit/unit.h"

#include "lib/base/escape.h"

static void assert_escaped(const char *text, const char *expected)
{
    char out[128];

    assert_int_equal(ros2i_escape(out, sizeof out, text), strlen(expected));
    assert_string_equal(out, expected);
}

static void good_text_passes_unchanged(void **state)
{
    static const char *const good[] = {
        "",         "plain text ~",     "Zürich",     "日本語", "\xf0\x9f\x9a\x80",
        "\xc2\xa0", "\xf4\x8f\xbf\xbf", "back\\slash"};

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_escaped(good[i], good[i]);
}

static void bad_bytes_become_hexadecimal(void **state)
{
    (void)state;
    assert_escaped("\r\n\t\x01", "\\x0d\\x0a\\x09\\x01");
    assert_escaped("a\xff z", "a\\xff z");
    assert_escaped("\x9b"
                   "31m",
                   "\\x9b31m"); /* CSI as a byte */
    assert_escaped("\xc2\x9b"
                   "31m",
                   "\\xc2\\x9b31m");          /* and as UTF-8 */
    assert_escaped("\xc0\xaf", "\\xc0\\xaf"); /* over-long '/' */
    assert_escaped("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
    assert_escaped("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
    assert_escaped("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    assert_escaped("\xe6\x97", "\\xe6\\x97"); /* cut within a character */
    assert_escaped("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

static void text_that_does_not_fit_ends_in_dots_between_characters(void **state)
{
    char out[9];

    (void)state;
    assert_int_equal(ros2i_escape(out, 9, "12345678"), 8);
    assert_string_equal(out, "12345678");
    ros2i_escape(out, 9, "123456789");
    assert_string_equal(out, "12345...");
    ros2i_escape(out, 9, "1234\xc3\xbc\xc3\xbc\xc3\xbc");
    assert_string_equal(out, "1234...");
    ros2i_escape(out, 9, "12345\n789");
    assert_string_equal(out, "12345...");
    ros2i_escape(out, 4, "12345");
    assert_string_equal(out, "...");
}

static void random_bytes_always_give_a_bounded_printable_line(void **state)
{
    uint64_t seed = 1;
    char text[65], out[200];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t len = unit_next(&seed) % 64, room = 4 + unit_next(&seed) % 100;

        for (size_t i = 0; i < len; i++)
            text[i] = (char)(1 + unit_next(&seed) % 255);
        text[len] = '\0';
        out[room] = 'X';
        size_t written = ros2i_escape(out, room, text);
        assert_true(written < room);
        assert_int_equal(strlen(out), written);
        assert_int_equal(out[room], 'X');
        for (size_t i = 0; i < written; i++)
            assert_true((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
        if (written > 3 && strcmp(out + written - 3, "...") != 0) {
            char again[200];
            ros2i_escape(again, sizeof again, out);
            assert_string_equal(again, out); /* what came out is good text */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text_passes_unchanged),
        cmocka_unit_test(bad_bytes_become_hexadecimal),
        cmocka_unit_test(text_that_does_not_fit_ends_in_dots_between_characters),
        cmocka_unit_test(random_bytes_always_give_a_bounded_printable_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
