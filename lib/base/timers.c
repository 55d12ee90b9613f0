/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of pointers, heap[0] the nearest; each timer knows its place (1-based), so disarm needs no search.
 * Owner: one thread. Armed timers are borrowed until they fire or are disarmed. */
#include "config.h"

#include "lib/base/timers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"

static void place(struct ros2i_timers *timers, struct ros2i_timer *timer, size_t index)
{
    timers->heap[index - 1] = timer;
    timer->index = index;
}

static void sift_up(struct ros2i_timers *timers, struct ros2i_timer *timer, size_t index)
{
    while (index > 1 && timers->heap[index / 2 - 1]->deadline_ns > timer->deadline_ns) {
        place(timers, timers->heap[index / 2 - 1], index);
        index /= 2;
    }
    place(timers, timer, index);
}

static void sift_down(struct ros2i_timers *timers, struct ros2i_timer *timer, size_t index)
{
    for (;;) {
        size_t child = 2 * index;

        if (child > timers->count)
            break;
        if (child < timers->count &&
            timers->heap[child]->deadline_ns < timers->heap[child - 1]->deadline_ns)
            child++;
        if (timers->heap[child - 1]->deadline_ns >= timer->deadline_ns)
            break;
        place(timers, timers->heap[child - 1], index);
        index = child;
    }
    place(timers, timer, index);
}

/* To where its deadline belongs; index is a free place or its own. */
static void settle(struct ros2i_timers *timers, struct ros2i_timer *timer, size_t index)
{
    if (index > 1 && timers->heap[index / 2 - 1]->deadline_ns > timer->deadline_ns)
        sift_up(timers, timer, index);
    else
        sift_down(timers, timer, index);
}

static int grow(struct ros2i_timers *timers)
{
    size_t capacity = timers->capacity ? 2 * timers->capacity : 64;
    struct ros2i_timer **heap = reallocarray(timers->heap, capacity, sizeof *heap);

    if (!heap)
        return ros2i_fail(ENOMEM, "timers: no memory for %zu deadlines", capacity);
    timers->heap = heap;
    timers->capacity = capacity;
    return 0;
}

void ros2i_timers_init(struct ros2i_timers *timers)
{
    memset(timers, 0, sizeof *timers);
}

void ros2i_timers_fini(struct ros2i_timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->index = 0;
    free(timers->heap);
    memset(timers, 0, sizeof *timers);
}

int ros2i_timers_arm(struct ros2i_timers *timers, struct ros2i_timer *timer, uint64_t deadline_ns)
{
    size_t index = timer->index;

    if (index == 0) {
        if (timers->count == timers->capacity) {
            int rc = grow(timers);
            if (rc < 0)
                return rc;
        }
        index = ++timers->count;
    }
    timer->deadline_ns = deadline_ns;
    settle(timers, timer, index);
    return 0;
}

void ros2i_timers_disarm(struct ros2i_timers *timers, struct ros2i_timer *timer)
{
    size_t index = timer->index;

    if (index == 0)
        return;
    assert(index <= timers->count && timers->heap[index - 1] == timer);
    timer->index = 0;
    struct ros2i_timer *last = timers->heap[--timers->count];
    if (last != timer)
        settle(timers, last, index);
}

int ros2i_timers_run(struct ros2i_timers *timers, uint64_t now_ns)
{
    /* At most as many as were armed at the start: a timer that arms itself again for a time that is already due waits
     * for the next run, so one run always ends. */
    size_t budget = timers->count;
    int fired = 0;

    while (budget-- > 0 && timers->count > 0 && timers->heap[0]->deadline_ns <= now_ns) {
        struct ros2i_timer *timer = timers->heap[0];

        ros2i_timers_disarm(timers, timer);
        fired++;
        timer->fire(timer); /* may free the timer */
    }
    return fired;
}

uint64_t ros2i_timers_next(const struct ros2i_timers *timers)
{
    return timers->count > 0 ? timers->heap[0]->deadline_ns : UINT64_MAX;
}
