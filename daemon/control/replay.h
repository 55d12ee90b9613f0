/* SPDX-License-Identifier: Apache-2.0 */
/* Exactly once: a call that changes something carries a request id, and its answer is kept, so that a repeated call is
 * answered and not run again. Bounded: for a new answer the least recently used ones of the same session are forgotten first,
 * then those of any. */
#ifndef ROS2D_REPLAY_H
#define ROS2D_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#define ROS2D_REPLAY_NONCE_LEN 16

struct ros2d_replay_key {
    uint64_t session_serial;
    uint8_t process_nonce[ROS2D_REPLAY_NONCE_LEN];
    uint64_t sequence;
};

/* An answer, by reference: fixed once it is given out by begin. */
struct ros2d_answer {
    int err; /* 0 or a positive errno */
    char *text;
    void *body; /* the serialised response; NULL with err */
    size_t len;
};

struct ros2d_replay;
struct ros2d_replay_entry;

/* 0 or -ENOMEM, -EIO. Threads of all calls below: any. */
int ros2d_replay_create(uint32_t max_answers, size_t max_bytes, struct ros2d_replay **replay_p);
/* Nothing is between begin and finish. */
void ros2d_replay_destroy(struct ros2d_replay *replay);

/* 1: it is new; the caller runs it and must call finish or forget. 0: *answer_p is what the first one was answered; release
 * the entry when done with it. Waits for a first one that still runs: -ETIMEDOUT (at once with a deadline of 0), -EAGAIN
 * (stopped). -EINVAL: the id was used for another method. */
int ros2d_replay_begin(struct ros2d_replay *replay, const struct ros2d_replay_key *key,
                       uint32_t method, uint64_t deadline_ns, struct ros2d_replay_entry **entry_p,
                       const struct ros2d_answer **answer_p);
/* Copies all; releases the entry. err: positive, 0 for success. */
void ros2d_replay_finish(struct ros2d_replay *replay, struct ros2d_replay_entry *entry, int err,
                         const char *text, const void *body, size_t len);
/* It ended without an outcome: who waits for it, or repeats it later, runs it anew. Releases the entry. */
void ros2d_replay_forget(struct ros2d_replay *replay, struct ros2d_replay_entry *entry);
/* Nobody waits any more, now or later. */
void ros2d_replay_stop(struct ros2d_replay *replay);
void ros2d_replay_release(struct ros2d_replay *replay, struct ros2d_replay_entry *entry);

#endif
