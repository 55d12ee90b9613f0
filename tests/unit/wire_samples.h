/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for the tests of the codec and for the fuzzer's first corpus. */
#ifndef TESTS_WIRE_SAMPLES_H
#define TESTS_WIRE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/protocol/wire.h"

struct wire_sample {
    const char *name;
    void (*fill)(struct ros2i_msg *msg); /* of a zeroed message */
};

/* Every type, least and largest forms. Ends with a name of NULL. */
extern const struct wire_sample wire_samples[];

/* -- wire_vector_samples.c -- */
void wire_readv_inline(struct ros2i_msg *msg);
void wire_readv_nothing(struct ros2i_msg *msg);
void wire_readv_segments(struct ros2i_msg *msg);
void wire_readv_largest_inline(struct ros2i_msg *msg);
void wire_readv_largest(struct ros2i_msg *msg);
void wire_close(struct ros2i_msg *msg);
void wire_close_largest(struct ros2i_msg *msg);
void wire_reply_results(struct ros2i_msg *msg);
void wire_reply_results_inline(struct ros2i_msg *msg);
void wire_random_vector(uint64_t *state, struct ros2i_msg *msg);
bool wire_same_vector(const struct ros2i_vector_request *a, const struct ros2i_vector_request *b);

void wire_sample_get(const struct wire_sample *sample, struct ros2i_msg *msg);
const struct wire_sample *wire_sample_find(const char *name);
/* Some valid message, by the state of unit_next(). */
void wire_random(uint64_t *state, struct ros2i_msg *msg);
/* Header, body and payload in one buffer of ROS2I_WIRE_MESSAGE_MAX bytes; the length or what encode returned. */
int wire_whole(const struct ros2i_msg *msg, uint8_t *buf);
/* Field by field, with the bytes that pointers lead to. */
bool wire_equal(const struct ros2i_msg *a, const struct ros2i_msg *b);

#endif
