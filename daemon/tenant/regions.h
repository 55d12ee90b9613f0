/* SPDX-License-Identifier: Apache-2.0 */
/* Registered client memory: what Memory.Register said, checked by data threads before any transport call. A connection looks a
 * region up once, under a mutex; for later requests it counts itself in without one. */
#ifndef ROS2D_REGIONS_H
#define ROS2D_REGIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/tenant/sessions.h"
#include "ros2/transport.h"

struct ros2d_region {
    uint64_t id; /* like a handle: index + generation */
    uint64_t session_serial;
    uint8_t process_nonce[ROS2I_NONCE_LEN];
    uint32_t queue;
    uint64_t len;
    uint32_t
        rights; /* enum ros2_region_right, seen from the client: REMOTE_READ = the daemon may get */
    uint32_t kind;
    char transport[ROS2I_TRANSPORT_NAME_MAX];
    uint8_t key[ROS2_TRANSPORT_KEY_MAX];
    uint32_t key_len;
};

int ros2d_regions_create(uint32_t max, struct ros2d_regions **regions_p);
void ros2d_regions_destroy(struct ros2d_regions *regions);
/* region's id and session_serial are set here. -EDQUOT, -EINVAL, -ENOMEM. */
int ros2d_regions_register(struct ros2d_regions *regions, struct ros2d_session *session,
                           const struct ros2d_region *region, uint64_t *id_p);
/* Copies the region out: 0 or -ENOENT (unknown, or another session's). Counts the caller in as a user (0 only);
 * ros2d_regions_release counts it out. */
int ros2d_regions_acquire(struct ros2d_regions *regions, const struct ros2d_session *session,
                          uint64_t id, struct ros2d_region *region_p);
/* The same for an id that the caller's session has acquired before, without a lock: 0, or -ENOENT (revoked since). No text. */
int ros2d_regions_reacquire(struct ros2d_regions *regions, uint64_t id);
void ros2d_regions_release(struct ros2d_regions *regions, uint64_t id);
/* Has an id that was acquired before not been revoked? No lock. */
bool ros2d_regions_is_live(const struct ros2d_regions *regions, uint64_t id);
/* No new acquire succeeds; returns at once, also when it was revoked before and is still in use. -ENOENT. */
int ros2d_regions_revoke(struct ros2d_regions *regions, struct ros2d_session *session, uint64_t id);
/* Waits until a revoked region has no user left. deadline_ns monotonic; -ETIMEDOUT (at once with 0), -EAGAIN (stopped).
 * Control thread. */
int ros2d_regions_wait_unused(struct ros2d_regions *regions, uint64_t id, uint64_t deadline_ns);
/* Nobody waits any more, now or later. */
void ros2d_regions_stop_waits(struct ros2d_regions *regions);
void ros2d_regions_close_session(struct ros2d_regions *regions, struct ros2d_session *session);
/* Bumped by each revoke (release): some region may no longer be live (acquire). */
uint64_t ros2d_regions_revision(const struct ros2d_regions *regions);

#endif
