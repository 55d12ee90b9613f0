/* SPDX-License-Identifier: Apache-2.0 */
/* A sum of 64 bits that finds accidents (bytes lost, moved, of another sample), not forgeries; cheap beside a read. The same
 * on every machine. */
#include "examples/loader.h"

#include <string.h>

#define FACTOR UINT64_C(0x9e3779b97f4a7c15) /* 2^64 over the golden ratio: odd, bits well spread */

static uint64_t stir(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * FACTOR;
    return sum ^ sum >> 32;
}

static uint64_t le64(const uint8_t *p, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)p[i] << 8 * i;
    return word;
}

uint64_t loader_sum_sample(uint64_t sum_of_name, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t sum = stir(sum_of_name, len); /* so that zeros at the end count */

    for (; len >= 8; p += 8, len -= 8)
        sum = stir(sum, le64(p, 8)); /* one load, with a constant length */
    return stir(sum, le64(p, len));
}

uint64_t loader_sum_name(const char *name)
{
    return loader_sum_sample(FACTOR, name, strlen(name));
}
