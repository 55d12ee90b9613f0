/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka behind the headers it wants. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The text is part of an error's promise: it names the thing, the cause and the way out. */
#define assert_text_has(text, part)                          \
    do {                                                     \
        if (!strstr((text), (part)))                         \
            fail_msg("\"%s\" lacks \"%s\"", (text), (part)); \
    } while (0)

/* A small generator with a fixed seed: the same cases in every run. */
static inline uint64_t unit_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
