/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: handle = slot index + generation. The control plane opens and closes; data threads use, without a lock.
 *
 * Slots are never freed while the daemon lives, so a stale or forged handle reads valid memory. A user first counts
 * itself in (refs), then checks generation and session; a close first bumps the generation, then, when refs is zero,
 * closes the node: sequentially consistent atomics make one of the two see the other. A handle that is still counted in
 * when it is closed waits for the reaper, since closing a node may block and a data thread must not. */
#ifndef ROS2D_HANDLES_H
#define ROS2D_HANDLES_H

#include <stdatomic.h>
#include <stdint.h>

#include "daemon/tenant/sessions.h"

struct ros2d_handle {
    _Atomic uint32_t generation; /* odd: open; even: free or closing */
    _Atomic uint32_t refs;
    /* Fixed while open: */
    uint64_t session_serial;
    struct ros2d_tenant *tenant;
    struct ros2_node *node;
    uint32_t rights; /* enum ros2i_right */
    uint32_t index;
    bool directory;
};

int ros2d_handles_create(uint32_t max, struct ros2d_handles **handles_p);
/* All sessions are closed, no references are left. */
void ros2d_handles_destroy(struct ros2d_handles *handles);

/* Room for one more, before the engine is asked: an open that is refused for want of it must not have made or cut the file.
 * Ends with commit or abort. -EMFILE: daemon-wide table full; -EDQUOT: the tenant's open_files; -ESHUTDOWN: the session was
 * closed meanwhile. */
int ros2d_handles_reserve(struct ros2d_handles *handles, struct ros2d_session *session,
                          uint32_t *reserved_p);
/* Leaves the error text as it is. */
void ros2d_handles_abort(struct ros2d_handles *handles, struct ros2d_session *session,
                         uint32_t reserved);
/* Takes the node over on success: the engine's close runs when the handle is closed and unused. On failure (-ESHUTDOWN) it
 * stays the caller's. The reservation is used up either way. */
int ros2d_handles_commit(struct ros2d_handles *handles, struct ros2d_session *session,
                         uint32_t reserved, struct ros2_node *node, uint32_t rights, bool directory,
                         uint64_t *handle_p);
/* The two in one, for a node that is open already. */
int ros2d_handles_open(struct ros2d_handles *handles, struct ros2d_session *session,
                       struct ros2_node *node, uint32_t rights, bool directory, uint64_t *handle_p);
/* Data or control thread; no lock, never blocks. NULL: unknown, stale, or of another session. */
struct ros2d_handle *ros2d_handles_get(struct ros2d_handles *handles,
                                       const struct ros2d_session *session, uint64_t handle);
void ros2d_handles_put(struct ros2d_handles *handles, struct ros2d_handle *h);
/* Control thread; may block (closes the node when unused). -EBADF: as get. New gets fail from its return on. */
int ros2d_handles_close(struct ros2d_handles *handles, struct ros2d_session *session,
                        uint64_t handle);
/* Data or control thread; no lock, never blocks: the node is left to the reaper. A handle that is not open in the session is
 * passed over. */
void ros2d_handles_close_later(struct ros2d_handles *handles, const struct ros2d_session *session,
                               uint64_t handle);
void ros2d_handles_close_session(struct ros2d_handles *handles, struct ros2d_session *session);
/* Closes nodes whose last user was a data thread. Control thread; called by the housekeeping tick, and before files are opened:
 * who opens and closes many at a time needs their places. */
void ros2d_handles_reap(struct ros2d_handles *handles);
uint32_t ros2d_handles_count(const struct ros2d_handles *handles);

#endif
