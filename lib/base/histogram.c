/* SPDX-License-Identifier: Apache-2.0 */
/* Values below 64 have a bucket each; above, each power of two is cut into 64 equal buckets, so a bucket is never wider
 * than 1/64 of its values. Owner: one writer; readers copy under the owner's rules. */
#include "config.h"

#include "lib/base/histogram.h"

#include <string.h>

#define STEP_BITS 6
#define STEPS     (1u << STEP_BITS) /* buckets per power of two */

_Static_assert(ROS2I_HISTOGRAM_BUCKETS == STEPS + (64 - STEP_BITS) * STEPS,
               "buckets cover all of uint64_t");

static unsigned bucket_of(uint64_t value)
{
    if (value < STEPS)
        return (unsigned)value;

    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - STEP_BITS;
    return shift * STEPS +
           (unsigned)(value >> shift); /* value >> shift is in STEPS .. 2 * STEPS - 1 */
}

static uint64_t highest_in(unsigned bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;

    unsigned shift = bucket / STEPS - 1;
    uint64_t lowest = (uint64_t)(bucket % STEPS + STEPS) << shift;
    return lowest + ((1ull << shift) - 1);
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void ros2i_histogram_init(struct ros2i_histogram *h)
{
    memset(h, 0, sizeof *h);
}

void ros2i_histogram_add(struct ros2i_histogram *h, uint64_t value)
{
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
    h->count++;
    h->sum = add_saturated(h->sum, value);
    h->bucket[bucket_of(value)]++;
}

void ros2i_histogram_merge(struct ros2i_histogram *into, const struct ros2i_histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum = add_saturated(into->sum, from->sum);
    for (unsigned i = 0; i < ROS2I_HISTOGRAM_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

/* The rank-th smallest value, 1 .. count. */
static uint64_t rank_of(const struct ros2i_histogram *h, double fraction)
{
    if (!(fraction > 0)) /* also NaN */
        return 1;
    if (fraction >= 1)
        return h->count;

    double exact = fraction * (double)h->count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact)
        rank++;
    if (rank == 0)
        return 1;
    return rank > h->count ? h->count : rank;
}

uint64_t ros2i_histogram_quantile(const struct ros2i_histogram *h, double fraction)
{
    if (h->count == 0)
        return 0;

    uint64_t rank = rank_of(h, fraction), seen = 0;
    if (rank == 1)
        return h->min;
    for (unsigned i = 0; i < ROS2I_HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank) {
            uint64_t value = highest_in(i);
            return value > h->max ? h->max : value;
        }
    }
    return h->max;
}
