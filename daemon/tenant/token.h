/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens: kept as SHA-256 digests, compared in constant time, each naming tenant, rights and expiry. */
#ifndef ROS2D_TOKEN_H
#define ROS2D_TOKEN_H

#include <stdint.h>

#include "daemon/tenant/tenant.h"
#include "lib/protocol/capability.h"

/* Who calls: what authentication found out. */
struct ros2d_principal {
    char name[64]; /* token name, or "cert:" + the certificate's common name, or "plaintext" */
    struct ros2d_tenant *tenant; /* borrowed */
    uint32_t rights;             /* enum ros2i_right: what its handles may at most have */
    int64_t expiry_ns;           /* wall clock; INT64_MAX: never */
};

struct ros2d_tokens;

int ros2d_tokens_create(struct ros2d_tokens **tokens_p);
void ros2d_tokens_destroy(struct ros2d_tokens *tokens);
/* secret is copied as its digest. expiry_ns: wall clock, INT64_MAX never. -EINVAL: shorter than 16 bytes; -EEXIST: name. */
int ros2d_tokens_add(struct ros2d_tokens *tokens, const char *name, const char *secret,
                     struct ros2d_tenant *tenant, uint32_t rights, int64_t expiry_ns);
/* 0, or -EACCES (unknown), -EKEYEXPIRED with an error text that does not repeat the token. Time taken does not tell which
 * token was close. Threads: any after the last add. */
int ros2d_tokens_check(const struct ros2d_tokens *tokens, const char *secret, size_t len,
                       struct ros2d_principal *principal);

#endif
