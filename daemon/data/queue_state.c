/* SPDX-License-Identifier: Apache-2.0 */
/* Always holds: a state is in the idle list exactly while it has no channel and nothing in the engine. */
#include "config.h"

#include "daemon/data/queue_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"

#define CHAINS 1024u /* power of two */

int ros2d_queues_init(struct ros2d_queues *queues, uint32_t max, uint32_t credits)
{
    queues->chain = calloc(CHAINS, sizeof(*queues->chain));
    if (!queues->chain)
        return ros2i_fail(ENOMEM, "queues: out of memory");
    queues->count = 0;
    queues->max = max;
    queues->credits = credits;
    ros2d_list_init(&queues->idle);
    return 0;
}

void ros2d_queues_fini(struct ros2d_queues *queues)
{
    if (!queues->chain)
        return;
    for (unsigned i = 0; i < CHAINS; i++) {
        struct ros2d_queue_state *next;
        for (struct ros2d_queue_state *state = queues->chain[i]; state; state = next) {
            next = state->next;
            assert(!state->live && !state->fenced && state->in_engine == 0);
            free(state);
        }
    }
    free(queues->chain);
    queues->chain = NULL;
}

static bool same_key(const struct ros2d_queue_key *a, const struct ros2d_queue_key *b)
{
    return a->session_serial == b->session_serial && a->queue == b->queue &&
           memcmp(a->process_nonce, b->process_nonce, sizeof(a->process_nonce)) == 0;
}

/* The nonce is the client's choice: one that makes all its queues collide slows its own handshakes only by a little, since
 * the table is bounded. */
static struct ros2d_queue_state **chain_of(struct ros2d_queues *queues,
                                           const struct ros2d_queue_key *key)
{
    uint64_t word, mix = key->session_serial * 0x9e3779b97f4a7c15ull + key->queue;

    memcpy(&word, key->process_nonce, sizeof(word));
    mix = (mix ^ word) * 0x9e3779b97f4a7c15ull;
    return &queues->chain[mix >> 32 & (CHAINS - 1)];
}

static void forget(struct ros2d_queues *queues, struct ros2d_queue_state *state)
{
    struct ros2d_queue_state **at = chain_of(queues, &state->key);

    while (*at != state)
        at = &(*at)->next;
    *at = state->next;
    ros2d_list_remove(&state->idle_link);
    queues->count--;
    free(state);
}

/* Never another session's: with its states go the results by which a replayed write is known to be done. */
static struct ros2d_queue_state *find_idle(const struct ros2d_queues *queues,
                                           uint64_t session_serial)
{
    for (struct ros2d_list *at = queues->idle.next; at != &queues->idle; at = at->next) {
        struct ros2d_queue_state *state = ROS2D_CONTAINER(at, struct ros2d_queue_state, idle_link);
        if (state->key.session_serial == session_serial)
            return state;
    }
    return NULL;
}

int ros2d_queues_get(struct ros2d_queues *queues, const struct ros2d_queue_key *key,
                     struct ros2d_queue_state **state_p)
{
    struct ros2d_queue_state **chain = chain_of(queues, key), *state;

    for (state = *chain; state; state = state->next) {
        if (!same_key(&state->key, key))
            continue;
        *state_p = state;
        return 0;
    }
    if (queues->count >= queues->max) {
        state = find_idle(queues, key->session_serial);
        if (!state)
            return ros2i_fail(EDQUOT,
                              "%u queues are kept, all that a data thread takes, and none of them "
                              "is an idle one of this session; end sessions, or raise "
                              "data.max_channels",
                              queues->max);
        forget(queues, state);
    }
    state = calloc(1, sizeof(*state) + queues->credits * sizeof(state->slot[0]));
    if (!state)
        return ros2i_fail(ENOMEM, "queue: out of memory");
    state->key = *key;
    ros2d_list_init(&state->idle_link);
    state->next = *chain;
    *chain = state;
    queues->count++;
    *state_p = state;
    return 0;
}

void ros2d_queues_settle(struct ros2d_queues *queues, struct ros2d_queue_state *state)
{
    bool used = state->live || state->fenced || state->in_engine > 0;

    ros2d_list_remove(&state->idle_link);
    if (used)
        return;
    if (state->dropped)
        forget(queues, state);
    else
        ros2d_list_append(&queues->idle, &state->idle_link);
}

void ros2d_queues_drop_session(struct ros2d_queues *queues, uint64_t session_serial)
{
    for (unsigned i = 0; i < CHAINS; i++) {
        struct ros2d_queue_state *next;
        for (struct ros2d_queue_state *state = queues->chain[i]; state; state = next) {
            next = state->next;
            if (state->key.session_serial != session_serial)
                continue;
            state->dropped = true;
            ros2d_queues_settle(queues, state);
        }
    }
}

enum ros2d_admission ros2d_slot_admit(struct ros2d_slot_memory *slot, uint64_t id, bool replay)
{
    if (id >> 16 == 0 || id < slot->last_id || (id == slot->last_id && !replay))
        return ROS2D_ADMIT_BREACH;
    if (id == slot->last_id)
        return slot->kept ? ROS2D_ADMIT_KEPT : ROS2D_ADMIT_UNKNOWN;
    *slot = (struct ros2d_slot_memory){.last_id = id};
    return ROS2D_ADMIT_EXECUTE;
}
