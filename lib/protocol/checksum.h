/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) by ISA-L. */
#ifndef ROS2I_CHECKSUM_H
#define ROS2I_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 at the start) over len bytes: crc32c(crc32c(0, a), b) == crc32c(0, ab). */
uint32_t ros2i_crc32c(uint32_t crc, const void *buf, size_t len);

#endif
