/* SPDX-License-Identifier: Apache-2.0 */
/* The table of queue states: chains by session serial, nonce and queue. Owner: the data thread. A state lives until its
 * session is closed and neither a connection nor the engine refers to it. */
#include "config.h"

#include "daemon/data/queue_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"

void ros2d_queue_states_init(struct ros2d_queue_states *states, struct ros2d_thread *thread,
                             uint32_t credits, uint32_t max)
{
    memset(states, 0, sizeof(*states));
    states->thread = thread;
    states->credits = credits;
    states->max = max;
}

static void destroy(struct ros2d_queue_states *states, struct ros2d_queue_state *state)
{
    ros2d_session_put(state->session);
    free(state);
    states->count--;
}

void ros2d_queue_states_fini(struct ros2d_queue_states *states)
{
    for (unsigned i = 0; i < ROS2D_QUEUE_CHAINS; i++) {
        while (states->chain[i]) {
            struct ros2d_queue_state *state = states->chain[i];

            states->chain[i] = state->next;
            destroy(states, state);
        }
    }
}

/* The nonce is random, but chosen by the client; chains are bounded by the limit on states. */
static unsigned chain_of(uint64_t serial, const uint8_t nonce[ROS2I_NONCE_LEN], uint32_t queue)
{
    uint64_t n;

    memcpy(&n, nonce, sizeof(n));
    n = (n ^ serial * 0x9e3779b97f4a7c15u ^ queue) * 0xff51afd7ed558ccdu;
    return (unsigned)(n >> 32) % ROS2D_QUEUE_CHAINS;
}

int ros2d_queue_states_get(struct ros2d_queue_states *states, struct ros2d_session *session,
                           const uint8_t nonce[ROS2I_NONCE_LEN], uint32_t queue,
                           struct ros2d_queue_state **state_p)
{
    struct ros2d_queue_state **chain = &states->chain[chain_of(session->serial, nonce, queue)];
    struct ros2d_queue_state *state;

    for (state = *chain; state; state = state->next) {
        if (state->session == session && state->queue == queue &&
            memcmp(state->nonce, nonce, ROS2I_NONCE_LEN) == 0) {
            *state_p = state;
            return 0;
        }
    }
    if (states->count == states->max)
        return ros2i_fail(EDQUOT,
                          "the daemon keeps at most %u queues on a data thread; close sessions",
                          states->max);
    state = calloc(1, sizeof(*state) + states->credits * sizeof(state->slot[0]));
    if (!state)
        return ros2i_fail(ENOMEM, "no memory for a queue's state");
    atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    state->thread = states->thread;
    state->session = session;
    memcpy(state->nonce, nonce, ROS2I_NONCE_LEN);
    state->queue = queue;
    state->credits = states->credits;
    state->next = *chain;
    *chain = state;
    states->count++;
    *state_p = state;
    return 0;
}

static bool unused(const struct ros2d_queue_state *state)
{
    return !state->connection && state->orphans == 0;
}

void ros2d_queue_states_drop_session(struct ros2d_queue_states *states,
                                     struct ros2d_session *session)
{
    for (unsigned i = 0; i < ROS2D_QUEUE_CHAINS; i++) {
        struct ros2d_queue_state **link = &states->chain[i];

        while (*link) {
            struct ros2d_queue_state *state = *link;

            if (state->session != session || !unused(state)) {
                link = &state->next;
                continue;
            }
            *link = state->next;
            destroy(states, state);
        }
    }
}

void ros2d_queue_state_settle(struct ros2d_queue_states *states, struct ros2d_queue_state *state)
{
    struct ros2d_queue_state **link;

    if (!unused(state) || !atomic_load_explicit(&state->session->closed, memory_order_acquire))
        return;
    link = &states->chain[chain_of(state->session->serial, state->nonce, state->queue)];
    while (*link != state)
        link = &(*link)->next;
    *link = state->next;
    destroy(states, state);
}

enum ros2d_admission ros2d_queue_state_admit(struct ros2d_queue_state *state, uint64_t id,
                                             bool replay)
{
    uint16_t number = ros2i_request_slot(id);
    struct ros2d_queue_slot *slot;

    if (number >= state->credits) {
        ros2i_fail(EPROTO, "request names slot %u of %u", number, state->credits);
        return ROS2D_ADMIT_REFUSE;
    }
    slot = &state->slot[number];
    if (id < slot->last_id || (id == slot->last_id && !replay)) {
        ros2i_fail(EPROTO, "slot %u: request %llu after %llu", number,
                   (unsigned long long)(id >> 16), (unsigned long long)(slot->last_id >> 16));
        return ROS2D_ADMIT_REFUSE;
    }
    if (id == slot->last_id && slot->has_result)
        return ROS2D_ADMIT_CACHED;
    slot->last_id = id;
    slot->has_result = false;
    return ROS2D_ADMIT_NEW;
}

void ros2d_queue_state_record(struct ros2d_queue_state *state, uint64_t id, uint32_t status,
                              uint32_t bytes, uint64_t offset)
{
    struct ros2d_queue_slot *slot = &state->slot[ros2i_request_slot(id)];

    if (slot->last_id != id)
        return; /* an orphan whose slot has moved on */
    slot->has_result = true;
    slot->status = status;
    slot->bytes = bytes;
    slot->offset = offset;
}
