/* SPDX-License-Identifier: Apache-2.0 */
/* A channel: one endpoint of one transport in a domain of its own, over which a queue's operations go.
 *
 * Owner: one thread at a time, the queue's; no locks. Nothing here blocks, and done() of operations runs only from
 * ros2i_channel_progress(), _push(), _cancel(), _attached() and _destroy(). A lost connection is made again as long as
 * operations wait, with the epoch raised and the requests in flight replayed; an operation ends with a result or at its
 * deadline. */
#ifndef ROS2I_CHANNEL_H
#define ROS2I_CHANNEL_H

#include "lib/data/handshake.h"
#include "lib/data/inflight.h"
#include "lib/data/op.h"
#include "lib/data/registered.h"
#include "ros2/transport.h"

#define ROS2I_CHANNEL_ADDRESS_MAX 128 /* as in struct ros2i_endpoint */

/* Named for what is awaited; the table of transitions is in channel.c. */
enum ros2i_channel_state {
    ROS2I_CHANNEL_BROKEN, /* no connection; the next attempt is at timer_ns, if an operation waits then */
    ROS2I_CHANNEL_CONNECTING,      /* the transport's connected() */
    ROS2I_CHANNEL_AWAIT_CHALLENGE, /* HELLO is sent */
    ROS2I_CHANNEL_AWAIT_WELCOME,   /* PROOF is sent */
    ROS2I_CHANNEL_READY,
    ROS2I_CHANNEL_AWAIT_ATTACH, /* the daemon refused: the owner is to ask the control plane, then _attached() */
    ROS2I_CHANNEL_FAILED, /* for good: the session is gone; every operation ends with failed_error */
};

struct ros2i_channel_options {
    const struct ros2_transport_ops *ops;
    const struct ros2_host *host;
    const struct ros2i_session *session; /* borrowed for the channel's life */
    const uint8_t *nonce;                /* ROS2I_NONCE_LEN bytes, copied */
    const char (*address)
        [ROS2I_CHANNEL_ADDRESS_MAX]; /* numeric, tried in turn; borrowed for the channel's life */
    unsigned address_count;
    uint32_t queue;
    uint64_t epoch;    /* of the queue's last connection, 0: never had one */
    uint64_t sequence; /* of the queue's last request, 0: none */
    int checksum;      /* as in ros2_connect_options */
};

struct ros2i_channel {
    /* Fixed after create. */
    const struct ros2_transport_ops *ops;
    struct ros2i_shared_view *view; /* NULL: the transport takes any memory */
    struct ros2_domain *domain;
    struct ros2i_registered *pool; /* bounce memory; NULL: the transport has tokens */
    const char (*address)[ROS2I_CHANNEL_ADDRESS_MAX];
    unsigned address_count;
    int checksum;

    /* Owner. */
    struct ros2i_identity who;
    enum ros2i_channel_state state;
    struct ros2_ep *ep; /* NULL in BROKEN, AWAIT_ATTACH, FAILED */
    uint64_t now_ns;    /* as of the latest progress() or submit() */
    uint64_t timer_ns;  /* what the state waits for ends then; ROS2I_FOREVER: nothing */
    struct ros2i_handshake handshake;
    struct ros2i_negotiated offered; /* by the latest CHALLENGE; nobody has proved anything yet */
    struct ros2i_negotiated negotiated; /* credits 0: never was READY */
    struct ros2i_inflight inflight;
    struct ros2i_registered_table registered;
    bool lent, wake; /* to another thread than the owner; which has to look at the channel then */
    struct ros2i_op_list settled; /* ended meanwhile, not done */
    struct ros2i_op_list pending; /* operations with pieces to issue, first come first served */
    struct ros2i_timers timers;   /* of operations */
    unsigned active;              /* operations submitted and not done */

    /* Reconnecting (reconnect.c). */
    unsigned attempt;  /* connections that failed since the last READY */
    bool attach_tried; /* since the last READY */
    unsigned refusals; /* of the data channel since that attach; the last address's is final */
    int last_error;    /* why there is no connection, negative errno; 0: never lost */
    char last_text[256];

    /* Keepalive (keepalive.c). */
    uint64_t heard_ns; /* when the last message came */
    uint32_t pings;    /* sent and unanswered */
    uint64_t ping_id;  /* opaque of the latest */

    /* Counters for the log and tests. */
    uint64_t late_replies, reconnects, replays;
};

/* Makes no connection: the first operation does. 0, -ENOMEM, -EMFILE (the domain's descriptors). */
int ros2i_channel_create(const struct ros2i_channel_options *options,
                         struct ros2i_channel **channel_p);
/* Ends every operation left with -ECANCELED, closes the connection and frees all. Another thread than the owner may call it
 * once the owner makes no more calls and no operation is left. */
void ros2i_channel_destroy(struct ros2i_channel *ch);
/* In a forked child: drops what fork() copied. Sends nothing, runs no done(); the parent's connection is not touched. */
void ros2i_channel_abandon(struct ros2i_channel *ch);

/* While it is lent another thread than the owner may call what registered.h and quiesce.h have; the caller sees to it that the
 * owner makes no call. An operation that ends meanwhile is done() when the owner makes its next call, and an owner who sleeps
 * is woken for that, and for a lost connection. */
void ros2i_channel_lend(struct ros2i_channel *ch, bool lent);

/* The owner has to look at it. Who may lend it. */
void ros2i_channel_wake(struct ros2i_channel *ch);

/* What the queue's next channel has to go on from. */
void ros2i_channel_last(const struct ros2i_channel *ch, uint64_t *epoch_p, uint64_t *sequence_p);

/* Takes op, which is done() later, from progress(); op->deadline_ns may be past. now_ns: monotonic. Blocks never.
 * 0, or -ENOMEM: then op was not taken. */
int ros2i_channel_submit(struct ros2i_channel *ch, struct ros2i_op *op, uint64_t now_ns);
/* op, submitted here and not done, is not wanted any more: it ends within the grace period of its deadline, with -ECANCELED
 * or with what it has achieved by then. done() may run. */
void ros2i_channel_cancel(struct ros2i_channel *ch, struct ros2i_op *op, uint64_t now_ns);
/* Sends what was submitted without looking for answers first, when the channel is known to live: saves the system call that
 * progress() would spend on finding nothing. done() may run. false: nothing was sent, progress() is to be called. */
bool ros2i_channel_push(struct ros2i_channel *ch);
/* Receives, runs timers, (re)connects, issues requests. Returns how much there was to do, 0: nothing. */
int ros2i_channel_progress(struct ros2i_channel *ch, uint64_t now_ns);
/* When progress() has to be called even if nothing arrives. */
uint64_t ros2i_channel_next_ns(const struct ros2i_channel *ch);
/* Polls readable when progress() has work, after arm() returned 0; -ENOTSUP: poll only. */
int ros2i_channel_fd(struct ros2i_channel *ch);
int ros2i_channel_arm(struct ros2i_channel *ch);

/* In AWAIT_ATTACH: 0, the process is attached, try again; -ESTALE: the session is gone; else: try again later. The text of
 * an error is this thread's. */
void ros2i_channel_attached(struct ros2i_channel *ch, int rc);

/* -- between the files of lib/data -- */

/* Ends op if nothing of it is left. */
void ros2i_channel_settle(struct ros2i_channel *ch, struct ros2i_op *op);
/* Takes op out of the pending list if it is there. */
void ros2i_channel_unqueue(struct ros2i_channel *ch, struct ros2i_op *op);
/* The connection is not to be trusted or not usable any more: err < 0 with this thread's text as the cause. */
void ros2i_channel_lost(struct ros2i_channel *ch, int err);
/* Encodes and sends a message without payload. 0, or -EAGAIN: no room; other errors: the connection is of no use. */
int ros2i_channel_send(struct ros2i_channel *ch, const struct ros2i_msg *msg);

#endif
