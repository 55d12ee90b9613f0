/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest free units go out first, so that what is used stays small and in the cache. Waiters are served in order; one
 * that its own cap holds back lets others pass. Always holds: free counts the zero bits of busy below units. */
#include "config.h"

#include "daemon/data/bounce.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/base/error.h"

int ros2d_bounce_init(struct ros2d_bounce *pool, size_t unit_len, uint32_t units, uint32_t largest)
{
    size_t words = (units + 63u) / 64u;
    void *base;

    if (units < largest || largest == 0)
        return ros2i_fail(
            EINVAL,
            "bounce memory: %u units of %zu bytes hold no lease of %u; raise data.bounce_memory",
            units, unit_len, largest);
    /* Pages come when they are first used; zeroed, so no request sees another's old bytes through a bug of ours. */
    base = mmap(NULL, unit_len * units, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return ros2i_fail(errno, "bounce memory: %zu bytes: %s; lower data.bounce_memory",
                          unit_len * units, ros2i_strerror(errno));
    pool->busy = calloc(words, sizeof(*pool->busy));
    if (!pool->busy) {
        munmap(base, unit_len * units);
        return ros2i_fail(ENOMEM, "bounce memory: out of memory");
    }
    if (units % 64)
        pool->busy[words - 1] = ~0ull << units % 64; /* beyond the end: never free */
    pool->base = base;
    pool->unit_len = unit_len;
    pool->units = pool->free = units;
    pool->cap = units / 4 > largest ? units / 4 : largest;
    ros2d_list_init(&pool->waiting);
    return 0;
}

void ros2d_bounce_fini(struct ros2d_bounce *pool)
{
    if (!pool->base)
        return;
    assert(pool->free == pool->units && ros2d_list_empty(&pool->waiting));
    munmap(pool->base, pool->unit_len * pool->units);
    free(pool->busy);
    pool->base = NULL;
}

static bool is_busy(const struct ros2d_bounce *pool, uint32_t unit)
{
    return pool->busy[unit / 64] >> unit % 64 & 1;
}

static uint32_t find_one(const struct ros2d_bounce *pool)
{
    for (uint32_t word = 0;; word++) /* free > 0: there is one */
        if (~pool->busy[word])
            return word * 64 + (uint32_t)__builtin_ctzll(~pool->busy[word]);
}

static bool find_run(const struct ros2d_bounce *pool, uint32_t units, uint32_t *first_p)
{
    uint32_t run = 0;

    for (uint32_t unit = 0; unit < pool->units; unit++) {
        run = is_busy(pool, unit) ? 0 : run + 1;
        if (run == units) {
            *first_p = unit + 1 - units;
            return true;
        }
    }
    return false;
}

static bool take(struct ros2d_bounce *pool, uint32_t units, struct ros2d_lease *lease_p)
{
    uint32_t first;

    if (pool->free < units)
        return false;
    if (units == 1)
        first = find_one(pool);
    else if (!find_run(pool, units, &first))
        return false;
    for (uint32_t unit = first; unit < first + units; unit++)
        pool->busy[unit / 64] |= 1ull << unit % 64;
    pool->free -= units;
    *lease_p = (struct ros2d_lease){first, units};
    return true;
}

static void grant(struct ros2d_bounce *pool)
{
    struct ros2d_list *next;

    for (struct ros2d_list *at = pool->waiting.next; at != &pool->waiting && pool->free > 0;
         at = next) {
        struct ros2d_waiter *waiter = ROS2D_CONTAINER(at, struct ros2d_waiter, link);

        next = at->next;
        if (*waiter->held + waiter->units > pool->cap)
            continue;
        if (!take(pool, waiter->units, &waiter->lease))
            return; /* the first that could go holds up the rest: a long lease gets its turn */
        *waiter->held += waiter->units;
        ros2d_list_remove(&waiter->link);
        waiter->granted(waiter);
    }
}

bool ros2d_bounce_get(struct ros2d_bounce *pool, uint32_t units, uint32_t *held,
                      struct ros2d_lease *lease_p)
{
    assert(units > 0 && units <= pool->cap);
    if (!ros2d_list_empty(&pool->waiting) || *held + units > pool->cap ||
        !take(pool, units, lease_p))
        return false;
    *held += units;
    return true;
}

void ros2d_bounce_wait(struct ros2d_bounce *pool, struct ros2d_waiter *waiter, uint32_t units,
                       uint32_t *held)
{
    assert(units > 0 && units <= pool->cap);
    waiter->units = units;
    waiter->held = held;
    ros2d_list_append(&pool->waiting, &waiter->link);
    grant(pool);
}

void ros2d_bounce_unwait(struct ros2d_waiter *waiter)
{
    ros2d_list_remove(&waiter->link);
}

bool ros2d_bounce_is_wanted(const struct ros2d_bounce *pool, const uint32_t *held)
{
    for (struct ros2d_list *at = pool->waiting.next; at != &pool->waiting; at = at->next) {
        const struct ros2d_waiter *waiter = ROS2D_CONTAINER(at, struct ros2d_waiter, link);
        if (waiter->held != held && *waiter->held + waiter->units <= pool->cap)
            return true;
    }
    return false;
}

void ros2d_bounce_put(struct ros2d_bounce *pool, struct ros2d_lease lease, uint32_t *held)
{
    for (uint32_t unit = lease.first; unit < lease.first + lease.units; unit++) {
        assert(is_busy(pool, unit));
        pool->busy[unit / 64] &= ~(1ull << unit % 64);
    }
    pool->free += lease.units;
    if (held)
        *held -= lease.units;
    grant(pool);
}
