/* SPDX-License-Identifier: Apache-2.0 */
/* The in-flight table: one slot per credit, allocated once. Owner: the channel's thread.
 *
 * A slot's life:
 *   FREE       -> QUEUED      a piece of an operation takes the slot and a new request id
 *   QUEUED     -> SENT        the request left; its memory, if any is named, is exposed to the daemon
 *   SENT       -> FREE        answered
 *   SENT       -> QUEUED      the channel was lost: the request will be replayed under the same id
 *   SENT       -> CANCELLING  the operation's deadline has passed and CANCEL was sent
 *   CANCELLING -> FREE        answered, or the channel was lost
 *   SENT, CANCELLING -> ABANDONED  the operation ended without an answer; nothing of its memory is exposed. The id stays
 *                             taken, since the daemon may still work on it, until its late answer comes or the channel is
 *                             lost
 *   any        -> FREE        the channel ends */
#ifndef ROS2I_INFLIGHT_H
#define ROS2I_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/data/bounce.h"
#include "lib/data/op.h"
#include "lib/data/registered.h"
#include "ros2/transport.h"

enum ros2i_slot_state {
    ROS2I_SLOT_FREE,
    ROS2I_SLOT_QUEUED,
    ROS2I_SLOT_SENT,
    ROS2I_SLOT_CANCELLING,
    ROS2I_SLOT_ABANDONED,
};

struct ros2i_slot {
    uint64_t id;                /* 0: never used */
    struct ros2i_op *op;        /* NULL when FREE or ABANDONED */
    struct ros2_region *region; /* exposed to the daemon for this request; NULL: nothing is */
    struct ros2i_registered *registered; /* or memory that it knows anyway */
    struct ros2i_bounce_lease lease;     /* where the region is, if not in op's buffer */
    uint64_t sent_ns;                    /* when the request left, the last time */
    size_t at;                           /* the piece of op's buffer: [at, at + len) */
    uint32_t len;
    enum ros2i_slot_state state;
    bool inlined; /* data rides in the messages */
    bool bounced; /* READV: its data needs a lease */
    bool
        pooled; /* the lease is in memory that the daemon reaches until it has answered or is gone */
    bool was_sent; /* on this epoch or an older one */
    bool retried;  /* after a checksum that did not match */
};

struct ros2i_inflight {
    struct ros2i_slot *slot;
    uint16_t *free_list; /* a stack of slot numbers */
    uint32_t capacity;   /* allocated */
    uint32_t credits;    /* in use: slot numbers 0..credits-1; 0 until the daemon has said */
    uint32_t free_count;
    uint32_t queued;            /* slots in state QUEUED */
    uint32_t waiting;           /* slots in state SENT or CANCELLING */
    uint64_t sequence;          /* of the latest request; only grows, also over epochs */
    struct ros2i_bounce bounce; /* leased to slots that are not FREE, nor ABANDONED unless pooled */
};

/* capacity: 1..ROS2I_WIRE_CREDITS_MAX. sequence: of the last request of this queue, 0: none. 0 or -ENOMEM. */
int ros2i_inflight_init(struct ros2i_inflight *table, uint32_t capacity, uint64_t sequence);
/* Every slot must be FREE or ABANDONED. */
void ros2i_inflight_fini(struct ros2i_inflight *table);
/* Makes credits slots available; once. credits: 1..capacity. */
void ros2i_inflight_open(struct ros2i_inflight *table, uint32_t credits);
/* A free slot in state QUEUED with a new id, or NULL: no credit left. Never allocates. */
struct ros2i_slot *ros2i_inflight_take(struct ros2i_inflight *table);
/* A new id for a QUEUED slot whose request is to be made again, as another request. */
void ros2i_inflight_renumber(struct ros2i_inflight *table, struct ros2i_slot *slot);
/* The slot that id names if it holds just that request, else NULL: late, forged or never sent. */
struct ros2i_slot *ros2i_inflight_find(struct ros2i_inflight *table, uint64_t id);
/* The only place where a slot's state is set. FREE ends its lease, and so does ABANDONED unless it is pooled; its memory must have
 * been hidden before. */
void ros2i_inflight_move(struct ros2i_inflight *table, struct ros2i_slot *slot,
                         enum ros2i_slot_state state);

#endif
