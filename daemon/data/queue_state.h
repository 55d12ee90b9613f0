/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives a channel: for each (session, process nonce, queue) the epoch, the engine operations that are still out,
 * and per slot the last request and a write's result. Owner: one data thread; a queue always comes to the same one. */
#ifndef ROS2D_QUEUE_STATE_H
#define ROS2D_QUEUE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/data/list.h"
#include "lib/protocol/session.h"
#include "lib/protocol/wire.h"

struct ros2d_connection;

struct ros2d_slot_memory {
    uint64_t last_id; /* of the last request that was taken up; 0: none yet */
    bool kept;        /* it was a WRITE, it is done, and this is what came of it: */
    uint32_t status, bytes;
    uint64_t offset, durability_epoch;
};

struct ros2d_queue_key {
    uint64_t session_serial;
    uint8_t process_nonce[ROS2I_NONCE_LEN];
    uint32_t queue;
};

struct ros2d_queue_state {
    struct ros2d_queue_state *next; /* chain */
    struct ros2d_list idle_link;    /* in the table's idle list while nobody uses it */
    struct ros2d_queue_key key;
    uint64_t epoch;                  /* the last one that proved itself; 0: none */
    uint32_t in_engine;              /* operations that the engine has, of whatever epoch */
    bool dropped;                    /* its session is closed: goes with its last user */
    struct ros2d_connection *live;   /* the channel of `epoch`, once welcome */
    struct ros2d_connection *fenced; /* the channel of `epoch` that waits for older epochs to end */
    struct ros2d_slot_memory slot[]; /* the table's credits */
};

struct ros2d_queues {
    struct ros2d_queue_state **chain;
    uint32_t count, max, credits;
    struct ros2d_list idle; /* longest idle first */
};

/* max: how many are kept; of more the longest idle one of the same session is forgotten. credits: slots of each. */
int ros2d_queues_init(struct ros2d_queues *queues, uint32_t max, uint32_t credits);
void ros2d_queues_fini(struct ros2d_queues *queues); /* nobody uses any */
/* Finds or makes it. -ENOMEM, -EDQUOT: max are kept, and none is an idle one of this session. */
int ros2d_queues_get(struct ros2d_queues *queues, const struct ros2d_queue_key *key,
                     struct ros2d_queue_state **state_p);
/* To be called after live, fenced or in_engine have become none: may free it or make it idle. */
void ros2d_queues_settle(struct ros2d_queues *queues, struct ros2d_queue_state *state);
void ros2d_queues_drop_session(struct ros2d_queues *queues, uint64_t session_serial);

enum ros2d_admission {
    ROS2D_ADMIT_EXECUTE, /* the slot's memory now names this request */
    ROS2D_ADMIT_KEPT,    /* answer from the slot's memory */
    ROS2D_ADMIT_UNKNOWN, /* a replay of what this slot saw last, whose outcome is not kept: a WRITE may be done again, an
                            append may not */
    ROS2D_ADMIT_BREACH, /* against the rules: close the channel */
};
/* The rules of docs/PROTOCOL.md, "Slots and request ids". The slot is in range and free on this channel. */
enum ros2d_admission ros2d_slot_admit(struct ros2d_slot_memory *slot, uint64_t id, bool replay);

#endif
