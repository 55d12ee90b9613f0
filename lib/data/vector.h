/* SPDX-License-Identifier: Apache-2.0 */
/* READV and CLOSE at the client: an operation over many extents of many files becomes requests. Owner: the channel's thread. */
#ifndef ROS2I_VECTOR_H
#define ROS2I_VECTOR_H

#include <stdint.h>

#include "lib/data/channel.h"

/* One extent of an operation. Lives, with the others in one array, as long as the operation. */
struct ros2i_vector_item {
    /* Set by the submitter. */
    uint64_t handle, offset;
    void *buf;
    uint32_t len; /* 1 or more; cut down to the daemon's max_io if that is less */
    /* Result, valid once `ended`: bytes or -errno. */
    int64_t result;
    bool ended;
    bool later; /* set on a piece's first: it was asked for only after an answer to another piece */
    /* The channel's. */
    uint32_t piece; /* extents in the request that begins with this one */
};

/* How many extents, from op->issued on, go into the next request; fills slot's len, inlined and bounced. */
uint32_t ros2i_vector_cut(const struct ros2i_channel *ch, struct ros2i_op *op,
                          struct ros2i_slot *slot);
/* Sends slot's request, whose region (unless it is inlined) is registered. As the transport's send. */
int ros2i_vector_send(struct ros2i_channel *ch, const struct ros2i_slot *slot);
int ros2i_vector_send_close(struct ros2i_channel *ch, const struct ros2i_slot *slot);

/* A reply of status 0 to slot's request. 0 or -EPROTO: it does not fit the request. */
int ros2i_vector_check(const struct ros2i_channel *ch, const struct ros2i_slot *slot,
                       const struct ros2i_msg *msg);
/* Copies data out to where it belongs, unless it is there. False: its checksum differs; no result is set then. */
bool ros2i_vector_take(struct ros2i_channel *ch, const struct ros2i_slot *slot,
                       const struct ros2i_msg *msg);

/* The piece that begins with extent `at` got no answer; extents from `at` on were never issued. error < 0. */
void ros2i_vector_failed(struct ros2i_op *op, size_t at, int error);
void ros2i_vector_unissued(struct ros2i_op *op, int error);
/* Does any target of op's overlap [addr, addr + len)? */
bool ros2i_vector_overlaps(const struct ros2i_op *op, const void *addr, size_t len);

#endif
