/* SPDX-License-Identifier: Apache-2.0 */
/* The in-flight table. The counters always equal what a walk over the slots would count. */
#include "config.h"

#include "lib/data/inflight.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/protocol/wire.h"

int ros2i_inflight_init(struct ros2i_inflight *table, uint32_t capacity, uint64_t sequence)
{
    assert(capacity >= 1 && capacity <= ROS2I_WIRE_CREDITS_MAX);
    *table = (struct ros2i_inflight){.capacity = capacity, .sequence = sequence};
    table->slot = calloc(capacity, sizeof(*table->slot));
    table->free_list = calloc(capacity, sizeof(*table->free_list));
    if (table->slot && table->free_list)
        return 0;
    ros2i_inflight_fini(table);
    return ros2i_fail(ENOMEM, "in-flight table of %u slots: out of memory", capacity);
}

void ros2i_inflight_fini(struct ros2i_inflight *table)
{
    ros2i_bounce_fini(&table->bounce);
    free(table->slot);
    free(table->free_list);
    table->slot = NULL;
    table->free_list = NULL;
    table->credits = table->free_count = 0;
}

void ros2i_inflight_open(struct ros2i_inflight *table, uint32_t credits)
{
    assert(table->credits == 0 && credits >= 1 && credits <= table->capacity);
    table->credits = credits;
    /* Low numbers on top: a queue of depth one stays in one cache line. */
    for (uint32_t i = 0; i < credits; i++)
        table->free_list[i] = (uint16_t)(credits - 1 - i);
    table->free_count = credits;
}

struct ros2i_slot *ros2i_inflight_take(struct ros2i_inflight *table)
{
    if (table->free_count == 0)
        return NULL;
    uint16_t number = table->free_list[--table->free_count];
    struct ros2i_slot *slot = &table->slot[number];
    assert(slot->state == ROS2I_SLOT_FREE);
    *slot = (struct ros2i_slot){.id = ros2i_request_id(++table->sequence, number),
                                .state = ROS2I_SLOT_QUEUED};
    table->queued++;
    return slot;
}

void ros2i_inflight_renumber(struct ros2i_inflight *table, struct ros2i_slot *slot)
{
    assert(slot->state == ROS2I_SLOT_QUEUED);
    slot->id = ros2i_request_id(++table->sequence, ros2i_request_slot(slot->id));
}

struct ros2i_slot *ros2i_inflight_find(struct ros2i_inflight *table, uint64_t id)
{
    uint16_t number = ros2i_request_slot(id);
    if (number >= table->credits)
        return NULL;
    struct ros2i_slot *slot = &table->slot[number];
    if (slot->id != id || slot->state == ROS2I_SLOT_FREE || slot->state == ROS2I_SLOT_QUEUED)
        return NULL;
    return slot;
}

static bool counts_as_waiting(enum ros2i_slot_state state)
{
    return state == ROS2I_SLOT_SENT || state == ROS2I_SLOT_CANCELLING;
}

void ros2i_inflight_move(struct ros2i_inflight *table, struct ros2i_slot *slot,
                         enum ros2i_slot_state state)
{
    assert(slot->state != ROS2I_SLOT_FREE);
    assert((slot->region == NULL && slot->registered == NULL) || state == ROS2I_SLOT_SENT ||
           state == ROS2I_SLOT_QUEUED || state == ROS2I_SLOT_CANCELLING);
    table->queued -= slot->state == ROS2I_SLOT_QUEUED;
    table->waiting -= counts_as_waiting(slot->state);
    table->queued += state == ROS2I_SLOT_QUEUED;
    table->waiting += counts_as_waiting(state);
    slot->state = state;
    if (state == ROS2I_SLOT_FREE || state == ROS2I_SLOT_ABANDONED) {
        slot->op = NULL;
        if (state == ROS2I_SLOT_FREE || !slot->pooled)
            ros2i_bounce_give(&table->bounce, &slot->lease);
    }
    if (state == ROS2I_SLOT_FREE)
        table->free_list[table->free_count++] = ros2i_request_slot(slot->id);
}
