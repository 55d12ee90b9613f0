/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives a channel: for each (session, process nonce, queue) its epoch, what of older epochs is still in the
 * engine, and per slot the last request and write result (the reply cache). Owner: the data thread that the queue's
 * channels come to. */
#ifndef ROS2D_QUEUE_STATE_H
#define ROS2D_QUEUE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/tenant/sessions.h"
#include "lib/protocol/wire.h"

struct ros2d_connection;
struct ros2d_thread;

struct ros2d_queue_slot {
    uint64_t last_id; /* the latest request of this slot, 0: none */
    bool has_result;  /* of last_id, a WRITE: */
    uint32_t status, bytes;
    uint64_t offset;
};

struct ros2d_queue_state {
    struct ros2d_queue_state *next; /* chain */
    struct ros2d_thread *thread;
    struct ros2d_session *session; /* referenced */
    uint8_t nonce[ROS2I_NONCE_LEN];
    uint32_t queue;
    uint64_t epoch; /* the latest that proved itself */
    struct ros2d_connection
        *connection; /* of that epoch: READY, or waiting for the fence; NULL: none is connected */
    uint32_t
        orphans; /* requests of older epochs whose engine operation has not ended, and superseded connections */
    uint32_t credits;
    struct ros2d_queue_slot slot[]; /* credits of them */
};

#define ROS2D_QUEUE_CHAINS 1024

struct ros2d_queue_states {
    struct ros2d_queue_state *chain[ROS2D_QUEUE_CHAINS];
    uint32_t count, max;
    uint32_t credits; /* of every state */
    struct ros2d_thread *thread;
};

void ros2d_queue_states_init(struct ros2d_queue_states *states, struct ros2d_thread *thread,
                             uint32_t credits, uint32_t max);
void ros2d_queue_states_fini(struct ros2d_queue_states *states);
/* Finds or makes (epoch 0) the state; takes a reference to the session for a new one. -EDQUOT: too many, -ENOMEM. */
int ros2d_queue_states_get(struct ros2d_queue_states *states, struct ros2d_session *session,
                           const uint8_t nonce[ROS2I_NONCE_LEN], uint32_t queue,
                           struct ros2d_queue_state **state_p);
/* Frees the states of a closed session that have no connection and no orphan; those that have go when they lose them. */
void ros2d_queue_states_drop_session(struct ros2d_queue_states *states,
                                     struct ros2d_session *session);
/* Called when a state lost its connection or last orphan: frees it if its session is closed. */
void ros2d_queue_state_settle(struct ros2d_queue_states *states, struct ros2d_queue_state *state);

enum ros2d_admission {
    ROS2D_ADMIT_NEW,    /* run it */
    ROS2D_ADMIT_CACHED, /* a replayed write that was done: answer from slot->... */
    ROS2D_ADMIT_REFUSE, /* the peer broke the rules: error text is set, close the channel */
};

/* Applies the rules on slots and sequences to a request and notes it as the slot's latest. */
enum ros2d_admission ros2d_queue_state_admit(struct ros2d_queue_state *state, uint64_t id,
                                             bool replay);
/* Keeps the result of a write that ended. */
void ros2d_queue_state_record(struct ros2d_queue_state *state, uint64_t id, uint32_t status,
                              uint32_t bytes, uint64_t offset);

#endif
