/* SPDX-License-Identifier: Apache-2.0 */
/* Counters with a ceiling. Threads: any. Always holds: used is what was taken and not yet given back; it goes past max
 * for no one's eyes, since a take that does not fit changes nothing. */
#include "config.h"

#include "daemon/tenant/limits.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "lib/base/error.h"

int ros2d_limit_take(struct ros2d_limit *limit, uint64_t n, const char *what,
                     const char *config_key)
{
    /* Relaxed: the counter orders nothing but itself. */
    uint64_t used = atomic_load_explicit(&limit->used, memory_order_relaxed);

    do {
        uint64_t room = limit->max == 0 ? UINT64_MAX - used : limit->max - used;
        if (n > room)
            return ros2i_fail(EDQUOT,
                              "%s: the limit of %" PRIu64
                              " is reached; raise %s in the daemon's configuration",
                              what, limit->max, config_key);
    } while (!atomic_compare_exchange_weak_explicit(&limit->used, &used, used + n,
                                                    memory_order_relaxed, memory_order_relaxed));
    return 0;
}

void ros2d_limit_give(struct ros2d_limit *limit, uint64_t n)
{
    uint64_t before = atomic_fetch_sub_explicit(&limit->used, n, memory_order_relaxed);

    assert(before >= n);
    (void)before;
}
