/* SPDX-License-Identifier: Apache-2.0 */
/* Two domains of the transport under test in one process, progressed by one thread. Tests see the interface only;
 * ROS2_TEST_TRANSPORT names the plugin (default: tcp). All helpers fail the test rather than return an error. */
#ifndef TRANSPORT_PAIR_H
#define TRANSPORT_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ros2/transport.h"

/* The plugin; set by pair_group_setup, the group's setup function. */
extern const struct ros2_transport_ops *pair_ops;
int pair_group_setup(void **state);
/* Loads it before the group runs, to choose its cases by pair_ops->flags; false: it has none of them. */
bool pair_has(unsigned flags);
bool pair_is(const char *name);
/* Runs the cases whose test_func is set. */
int pair_run(const char *name, struct CMUnitTest *tests, size_t count);
#define PAIR_CASE_IF(condition, ...) \
    ((condition) ? (struct CMUnitTest)__VA_ARGS__ : (struct CMUnitTest){0})
#define PAIR_RUN(name, tests) pair_run(name, tests, sizeof(tests) / sizeof((tests)[0]))

/* An address to listen on that nobody else has: port 0, or a path in a folder that is removed at exit. Of tests that need
 * several at a time each call gives another one. */
const char *pair_listen_address(void);
/* The address of this machine that the transport is reached by: ROS2_TEST_HOST, ROS2_TEST_HOST6, or loopback. */
const char *pair_host(bool v6);
/* Memory that regions can be made of: shared with the peer where the transport maps it. All zeros. */
void *pair_alloc(size_t len);
/* What new domains are told of it; NULL where the transport maps none. pair_memory: another one instead. */
const struct ros2_shared_memory *pair_shared_memory(void);
extern const struct ros2_shared_memory *pair_memory;
void pair_free(void *memory, size_t len);

/* An op that counts how often it is completed. */
struct pair_op {
    struct ros2_op op;
    int calls;
    int status;
};
void pair_op_init(struct pair_op *op);

/* One end of a connection, and the arg of its handler. */
struct pair_side {
    struct ros2_domain *domain;
    struct ros2_ep *ep;
    int connected, closed, closed_err;
    uint64_t messages;
    uint8_t last[256]; /* the start of the last message */
    size_t last_len;
    /* Instead of only counting. */
    void (*on_message)(struct pair_side *side, const uint8_t *msg, size_t len);
    void (*on_closed)(struct pair_side *side);
    void *user;
};
extern const struct ros2_ep_handler pair_handler;

struct pair {
    struct pair_side a; /* connected */
    struct pair_side b; /* listened */
    struct ros2_listener *listener;
    char address[128];
};

/* 0: defaults. */
struct pair_options {
    uint32_t a_max_message, b_max_message;
    uint32_t send_queue;
};
void pair_open(struct pair *pair, const struct pair_options *options);
/* A per-test fixture with default options: *state is the pair. */
int pair_setup(void **state);
int pair_teardown(void **state);
void pair_close(struct pair *pair);

struct ros2_domain *pair_domain(uint32_t max_message, uint32_t send_queue);
/* One to listen at local, or to connect to peer; the other is NULL. */
struct ros2_domain *pair_domain_for(const char *local, const char *peer);
/* Progress on both ends; returns the events. */
int pair_progress(struct pair *pair);
/* Until both ends have been idle for a while. */
void pair_settle(struct pair *pair);
uint64_t pair_now_ns(void);

#define PAIR_DEADLINE_NS (20 * 1000000000ull)
/* Progress until condition holds; fails after a deadline. */
#define pair_until(pair, condition)                                  \
    do {                                                             \
        uint64_t end_ns_ = pair_now_ns() + PAIR_DEADLINE_NS;         \
        while (!(condition)) {                                       \
            pair_progress(pair);                                     \
            if (pair_now_ns() > end_ns_)                             \
                fail_msg("not within the deadline: %s", #condition); \
        }                                                            \
    } while (0)
/* Progress on one end only. */
#define side_until(side, condition)                                  \
    do {                                                             \
        uint64_t end_ns_ = pair_now_ns() + PAIR_DEADLINE_NS;         \
        while (!(condition)) {                                       \
            pair_ops->progress((side)->domain);                      \
            if (pair_now_ns() > end_ns_)                             \
                fail_msg("not within the deadline: %s", #condition); \
        }                                                            \
    } while (0)

/* Sends a copied message; progress while the queue is full. */
void pair_send(struct pair *pair, struct pair_side *from, const void *msg, size_t len);

/* Registered memory between two stretches of canary bytes. */
#define PAIR_CANARY 4096u
struct pair_region {
    struct pair_side *owner;
    uint8_t *memory; /* canary, bytes, canary */
    uint8_t *bytes;  /* the region, filled with PAIR_FILL */
    size_t len;
    struct ros2_region *region; /* NULL once deregistered */
    uint8_t key[ROS2_TRANSPORT_KEY_MAX];
    size_t key_len;
    uint64_t token;
    struct ros2_rkey *rkey; /* imported at the peer, where there are no tokens */
};
#define PAIR_FILL 0x5a
/* rights of owner's memory for the peer. */
void pair_region_open(struct pair_region *region, struct pair_side *owner, struct pair_side *peer,
                      size_t len, unsigned rights);
/* Deregisters if still registered (progress while -EBUSY), checks the canaries, frees. */
void pair_region_close(struct pair_region *region);
struct ros2_remote pair_remote(const struct pair_region *region, uint64_t offset, uint64_t len);
/* Canaries are whole; without_fill_at: [from, to) may have changed, all else is PAIR_FILL. */
void pair_region_check(const struct pair_region *region, size_t from, size_t to);

void pair_put(struct pair_side *from, const void *src, size_t len, struct ros2_remote dst,
              const void *msg, size_t msg_len, struct pair_op *op);
void pair_get(struct pair_side *from, void *dst, size_t len, struct ros2_remote src,
              struct pair_op *op);

/* Bytes that differ from place to place. */
void pair_pattern(uint8_t *bytes, size_t len, uint32_t seed);
uint32_t pair_random(uint32_t *state);
int pair_open_fds(void);

#endif
