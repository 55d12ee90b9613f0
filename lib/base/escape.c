/* SPDX-License-Identifier: Apache-2.0 */
/* Untrusted bytes (names, peers' texts) on their way to a terminal, a log file or a protobuf string. Pure functions. */
#include "config.h"

#include "lib/base/escape.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* The least code point a sequence of that many bytes may hold: shorter ones are over-long forms. */
static const uint32_t least[] = {0, 0, 0xa0, 0x800,
                                 0x10000}; /* 0xa0 and not 0x80: C1 controls count as bad */

static size_t sequence_len(uint8_t first)
{
    if ((first & 0xe0) == 0xc0)
        return 2;
    if ((first & 0xf0) == 0xe0)
        return 3;
    return (first & 0xf8) == 0xf0 ? 4 : 0;
}

/* Length of the printable character at s, or 0 when its first byte has to be escaped. Stops at the NUL. */
static size_t printable_len(const uint8_t *s)
{
    if (*s < 0x80)
        return *s >= 0x20 && *s != 0x7f;

    size_t len = sequence_len(*s);
    if (len == 0)
        return 0;
    uint32_t code = *s & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return len;
}

static void put_hex(char *out, uint8_t byte)
{
    static const char digit[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'x';
    out[2] = digit[byte >> 4];
    out[3] = digit[byte & 15];
}

size_t ros2i_escape(char *out, size_t out_len, const char *text)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t at = 0, room_for_dots = 0; /* the last place where "..." and the NUL still fit */

    assert(out_len >= 4);
    while (*s) {
        size_t len = printable_len(s), need = len ? len : 4;

        if (at + 4 <= out_len)
            room_for_dots = at;
        if (at + need + 1 > out_len) {
            memcpy(out + room_for_dots, "...", 4);
            return room_for_dots + 3;
        }
        if (len)
            memcpy(out + at, s, len);
        else
            put_hex(out + at, *s);
        at += need;
        s += len ? len : 1;
    }
    out[at] = '\0';
    return at;
}
