/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C by ISA-L, which picks the processor's own instructions. Any thread; pure. */
#include "config.h"

#include "lib/protocol/checksum.h"

#include <isa-l/crc.h>

#define PIECE (1u << 30) /* ISA-L takes an int */

uint32_t ros2i_crc32c(uint32_t crc, const void *buf, size_t len)
{
    /* ISA-L neither changes the buffer nor inverts the register at either end; its type just lacks const. */
    union {
        const void *in;
        unsigned char *isal;
    } at = {.in = buf};
    uint32_t state = ~crc;

    while (len > 0) {
        size_t n = len < PIECE ? len : PIECE;

        state = crc32_iscsi(at.isal, (int)n, state);
        at.isal += n;
        len -= n;
    }
    return ~state;
}
