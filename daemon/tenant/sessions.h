/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: made by the control plane, proved on data channels. Guarded by the table's mutex but where said. */
#ifndef ROS2D_SESSIONS_H
#define ROS2D_SESSIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/tenant/token.h"
#include "lib/protocol/session.h"

struct ros2d_sessions;
struct ros2d_handles;
struct ros2d_regions;

struct ros2d_session {
    uint8_t id[ROS2I_SESSION_ID_LEN]; /* fixed after create */
    uint8_t secret[ROS2I_SECRET_LEN]; /* fixed after create; wiped with the last reference */
    struct ros2d_principal principal; /* fixed after create */
    uint64_t serial;                  /* fixed after create; unique in this daemon, never 0 */
    _Atomic bool closed; /* set once (release); data threads read it (acquire) per request */
    _Atomic uint32_t refs;
    _Atomic uint32_t
        channels; /* live data channels: while there is one the session expires only with its token */
    _Atomic uint64_t expiry_ns; /* monotonic; put off by calls */
    struct ros2d_session *next; /* the table's chain */
};

/* lifetime_ns: without a call or a live channel. handles, regions: borrowed; a closed session's are revoked there. */
int ros2d_sessions_create(uint64_t lifetime_ns, struct ros2d_handles *handles,
                          struct ros2d_regions *regions, struct ros2d_sessions **sessions_p);
void ros2d_sessions_destroy(struct ros2d_sessions *sessions);
uint64_t ros2d_sessions_lifetime_ns(const struct ros2d_sessions *sessions);
/* Called (any thread, no lock held) after a session was closed or expired, so that data threads drop its channels. */
void ros2d_sessions_on_close(struct ros2d_sessions *sessions,
                             void (*fn)(void *arg, struct ros2d_session *session), void *arg);

/* Takes one of the tenant's sessions. A reference for the caller. -EDQUOT, -ENOMEM, -EIO. */
int ros2d_sessions_open(struct ros2d_sessions *sessions, const struct ros2d_principal *principal,
                        struct ros2d_session **session_p);
/* A reference, or NULL: unknown, closed or expired. */
struct ros2d_session *ros2d_sessions_get(struct ros2d_sessions *sessions,
                                         const uint8_t id[ROS2I_SESSION_ID_LEN]);
void ros2d_session_put(struct ros2d_session *session);
/* Puts off the expiry by the lifetime. */
void ros2d_sessions_touch(struct ros2d_sessions *sessions, struct ros2d_session *session);
/* Idempotent: revokes handles and regions, marks it closed, calls on_close. */
void ros2d_sessions_close(struct ros2d_sessions *sessions, struct ros2d_session *session);
/* Closes all that have expired at now_ns, or whose token has by the wall clock; returns how many. A control thread calls it about once a second. */
int ros2d_sessions_expire(struct ros2d_sessions *sessions, uint64_t now_ns);
/* Closes all (drain). */
void ros2d_sessions_close_all(struct ros2d_sessions *sessions);

#endif
