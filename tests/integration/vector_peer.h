/* SPDX-License-Identifier: Apache-2.0 */
/* A data plane with files in it, a raw peer, and a READV in the making. */
#ifndef TESTS_INTEGRATION_VECTOR_PEER_H
#define TESTS_INTEGRATION_VECTOR_PEER_H

#include "tests/integration/data_peer.h"

#define RW    (ROS2I_RIGHT_READ | ROS2I_RIGHT_WRITE)
#define MIB   (1u << 20)
#define FILES 40u
#define UNSET 0xee

struct fixture {
    struct rig rig;
    struct ros2d_session *session;
    struct peer peer;
    uint64_t sequence;
    uint64_t handle[FILES]; /* file i: file_size(i) bytes of pattern SEED(i) */
    struct ros2i_msg msg;
    struct ros2i_extent extent[ROS2I_WIRE_EXTENTS_MAX];
    uint32_t status[ROS2I_WIRE_EXTENTS_MAX], bytes[ROS2I_WIRE_EXTENTS_MAX]; /* as expected */
    uint8_t raw[ROS2I_WIRE_EXTENTS_MAX * ROS2I_WIRE_EXTENT_LEN];
    uint8_t *memory; /* 1 MiB that can be a region, and a page */
    uint8_t *file;   /* 1 MiB of scratch */
};

/* rules: as rig_start(). */
int vector_setup_with(void **state, const char *rules);
int vector_teardown(void **state);
uint32_t vector_file_size(unsigned i);
/* Hangs up with a region registered. */
void vector_hang_up(struct peer *peer, struct ros2_region *region);

/* A new READV, in slot 0. */
struct ros2i_vector_request *vector_begin(struct fixture *f);
/* An extent, and what is to come of it. */
void vector_add_raw(struct fixture *f, uint64_t handle, uint64_t offset, uint32_t len,
                    uint32_t status, uint32_t bytes);
void vector_add(struct fixture *f, unsigned file, uint64_t offset, uint32_t len);
void vector_use_segments(struct fixture *f, struct ros2_region *region, const uint32_t *lens);
/* The reply's results, and the good bytes, which begin at data: one extent behind the other, or (streamed) each in its place,
 * with nothing of anybody's behind them. */
void vector_check(struct fixture *f, const struct ros2i_reply *reply, const uint8_t *data,
                  bool streamed);
/* Sends it, checks its reply. */
void vector_call_inline(struct fixture *f);
void vector_call_region(struct fixture *f, const uint32_t *lens);

#endif
