/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a data channel for tests of lib/data: a small daemon in the same thread, over the real tcp transport
 * and the real protocol, that misbehaves where a test tells it to. One file of PEER_FILE_LEN bytes, in memory. */
#ifndef TESTS_DATA_PEER_H
#define TESTS_DATA_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/data/channel.h"

#define PEER_FILE_LEN (3u << 20)
#define PEER_HANDLE   0x100000001ull
#define PEER_EPOCH    77

struct peer_request { /* what the peer has seen, in order */
    uint8_t type;
    uint16_t flags;
    uint64_t id, offset, handle, target_id;
    uint32_t length;
    uint16_t segment_count;
    struct ros2i_segment segment; /* the first */
    uint64_t epoch;               /* of the channel it came on */
};

struct peer {
    const struct ros2_transport_ops *ops;
    struct ros2_domain *domain;
    struct ros2_listener *listener;
    struct ros2_ep *ep; /* the latest connection; NULL: none */
    char address[ROS2I_CHANNEL_ADDRESS_MAX];
    struct ros2i_session session; /* what the client is given */
    uint8_t *file;
    uint64_t file_len;

    /* The latest handshake. */
    struct ros2i_hello hello;
    uint8_t hello_raw[256], challenge_raw[256];
    size_t hello_len, challenge_len;
    unsigned connections;

    /* What Memory.Register would have told it: one region. */
    uint64_t region_id;
    uint8_t region_key[ROS2_TRANSPORT_KEY_MAX];
    size_t region_key_len;

    struct peer_request seen[4096];
    unsigned seen_count;

    /* How it behaves. */
    struct ros2i_challenge challenge; /* what it offers; the nonce is set anew each time */
    bool wrong_proof;                 /* WELCOME with the wrong one */
    uint32_t reject;                  /* instead of CHALLENGE: REJECT with this errno */
    unsigned rejections;              /* how many times; then it accepts */
    bool mute_handshake;              /* no CHALLENGE */
    bool mute_welcome;                /* no WELCOME */
    bool hold;                        /* requests are noted, not answered */
    bool mute_pong;
    unsigned bad_crcs; /* that many reads are answered with a wrong checksum */
    uint32_t status;   /* answer every request with this errno */
    /* Called on each reply before it is sent; NULL: none. */
    void (*spoil)(struct peer *peer, struct ros2i_msg *reply);
};

/* One client's world: the peer, a channel to it, and a clock that only tests move. */
struct world {
    struct peer peer;
    struct ros2i_channel *channel;
    char address[2][ROS2I_CHANNEL_ADDRESS_MAX];
    unsigned done; /* operations that ended */
};

int peer_open(struct peer *peer);
void peer_close(struct peer *peer);
/* One turn. */
void peer_progress(struct peer *peer);
void peer_drop(struct peer *peer); /* ends the connection, hard */
/* Sends msg as it is. payload may be NULL. */
void peer_send(struct peer *peer, const struct ros2i_msg *msg, const void *payload, size_t len);
void peer_send_raw(struct peer *peer, const void *bytes, size_t len);
/* Answers a request that was held: number n of seen[]. */
void peer_answer(struct peer *peer, unsigned n);
/* Puts len bytes of its file to offset of the region that it was told of, unasked. */
void peer_put_unasked(struct peer *peer, uint64_t offset, uint32_t len);
/* How many requests of this type were seen. */
unsigned peer_count(const struct peer *peer, uint8_t type);

extern uint64_t world_now_ns; /* the injected clock */

int world_setup(void **state);
/* The client's end, over transport ops, which is the peer's or passes for it. */
int world_create_channel(struct world *w, const struct ros2_transport_ops *ops);
int world_teardown(void **state);
/* Both ends make a turn. */
void world_turn(struct world *w);
/* Turns until *flag, at most 10 s of real time; moving the clock by step_ns each turn. */
#define world_run_until(w, step_ns, condition)                   \
    do {                                                         \
        uint64_t world_limit = world_real_ns() + 10000000000ull; \
        while (!(condition)) {                                   \
            if (world_real_ns() > world_limit)                   \
                fail_msg("not in 10 s: %s", #condition);         \
            world_turn(w);                                       \
            world_now_ns += (step_ns);                           \
        }                                                        \
    } while (0)
uint64_t world_real_ns(void);

/* Fills an operation and submits it; timeout on the injected clock. */
void world_submit(struct world *w, struct ros2i_op *op, enum ros2i_op_kind kind, void *buf,
                  size_t len, uint64_t offset, unsigned flags, uint64_t timeout_ns);
/* Submits and turns until it is done. */
int64_t world_do(struct world *w, struct ros2i_op *op, enum ros2i_op_kind kind, void *buf,
                 size_t len, uint64_t offset);

#endif
