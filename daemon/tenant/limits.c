/* SPDX-License-Identifier: Apache-2.0 */
/* Counters with a ceiling. Relaxed atomics: a count guards no other memory. */
#include "config.h"

#include "daemon/tenant/limits.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/base/error.h"

int ros2d_limit_take(struct ros2d_limit *limit, uint64_t n, const char *what,
                     const char *config_key)
{
    uint64_t used = atomic_load_explicit(&limit->used, memory_order_relaxed);

    do {
        if (limit->max != 0 && (n > limit->max || used > limit->max - n))
            return ros2i_fail(EDQUOT, "%s: the tenant's limit of %" PRIu64 " is reached; raise %s",
                              what, limit->max, config_key);
    } while (!atomic_compare_exchange_weak_explicit(&limit->used, &used, used + n,
                                                    memory_order_relaxed, memory_order_relaxed));
    return 0;
}

void ros2d_limit_give(struct ros2d_limit *limit, uint64_t n)
{
    atomic_fetch_sub_explicit(&limit->used, n, memory_order_relaxed);
}
