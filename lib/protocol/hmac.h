/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 (RFC 2104, FIPS 180-4) by libcrypto. */
#ifndef ROS2I_HMAC_H
#define ROS2I_HMAC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define ROS2I_HMAC_LEN 32

/* Over the parts one behind the other. key: key_len >= 1 bytes, no copy stays behind. mac: written on success only.
 * Threads: any. 0 or -EIO (libcrypto: its reason is in the error text). */
int ros2i_hmac_sha256(const void *key, size_t key_len, const struct iovec *part, int count,
                      uint8_t mac[ROS2I_HMAC_LEN]);

#endif
