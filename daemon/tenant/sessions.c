/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sessions: chains by id, one mutex. The table itself holds one reference to each session in it; what a
 * session owns (handles, regions) is revoked by close, its memory lives until the last reference. */
#include "config.h"

#include "daemon/tenant/sessions.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tenant/handles.h"
#include "daemon/tenant/regions.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"

#define CHAINS 256 /* ids are random: their first byte spreads evenly */

struct ros2d_sessions {
    pthread_mutex_t mutex;
    struct ros2d_session *chain[CHAINS]; /* guarded by mutex */
    uint64_t last_serial;                /* guarded by mutex */
    /* Fixed after create: */
    uint64_t lifetime_ns;
    struct ros2d_handles *handles;
    struct ros2d_regions *regions;
    /* Fixed before the threads start: */
    void (*on_close)(void *arg, struct ros2d_session *session);
    void *on_close_arg;
};

int ros2d_sessions_create(uint64_t lifetime_ns, struct ros2d_handles *handles,
                          struct ros2d_regions *regions, struct ros2d_sessions **sessions_p)
{
    struct ros2d_sessions *sessions = calloc(1, sizeof(*sessions));

    if (!sessions)
        return ros2i_fail(ENOMEM, "sessions: no memory");
    pthread_mutex_init(&sessions->mutex, NULL);
    sessions->lifetime_ns = lifetime_ns;
    sessions->handles = handles;
    sessions->regions = regions;
    *sessions_p = sessions;
    return 0;
}

void ros2d_sessions_destroy(struct ros2d_sessions *sessions)
{
    if (!sessions)
        return;
    ros2d_sessions_close_all(sessions);
    pthread_mutex_destroy(&sessions->mutex);
    free(sessions);
}

uint64_t ros2d_sessions_lifetime_ns(const struct ros2d_sessions *sessions)
{
    return sessions->lifetime_ns;
}

void ros2d_sessions_on_close(struct ros2d_sessions *sessions,
                             void (*fn)(void *arg, struct ros2d_session *session), void *arg)
{
    sessions->on_close = fn;
    sessions->on_close_arg = arg;
}

void ros2d_sessions_touch(struct ros2d_sessions *sessions, struct ros2d_session *session)
{
    atomic_store_explicit(&session->expiry_ns, ros2i_now_ns() + sessions->lifetime_ns,
                          memory_order_relaxed);
}

int ros2d_sessions_open(struct ros2d_sessions *sessions, const struct ros2d_principal *principal,
                        struct ros2d_session **session_p)
{
    struct ros2d_limit *limit = &principal->tenant->limits.sessions;
    struct ros2d_session *session;
    int rc = ros2d_limit_take(limit, 1, "sessions", "limits.sessions");

    if (rc < 0)
        return rc;
    session = calloc(1, sizeof(*session));
    if (!session) {
        rc = ros2i_fail(ENOMEM, "session: no memory");
        goto give;
    }
    if (ros2i_random(session->id, sizeof(session->id)) < 0 ||
        ros2i_random(session->secret, sizeof(session->secret)) < 0) {
        rc = ros2i_fail(EIO, "session: the system gives no random bytes");
        goto free_session;
    }
    session->principal = *principal;
    atomic_init(&session->refs, 2); /* the table's and the caller's */
    ros2d_sessions_touch(sessions, session);
    pthread_mutex_lock(&sessions->mutex);
    session->serial = ++sessions->last_serial;
    session->next = sessions->chain[session->id[0]];
    sessions->chain[session->id[0]] = session;
    pthread_mutex_unlock(&sessions->mutex);
    *session_p = session;
    return 0;
free_session:
    ros2i_wipe(session, sizeof(*session));
    free(session);
give:
    ros2d_limit_give(limit, 1);
    return rc;
}

static bool expired(const struct ros2d_session *session, uint64_t now_ns)
{
    return atomic_load_explicit(&session->channels, memory_order_relaxed) == 0 &&
           now_ns >= atomic_load_explicit(&session->expiry_ns, memory_order_relaxed);
}

struct ros2d_session *ros2d_sessions_get(struct ros2d_sessions *sessions,
                                         const uint8_t id[ROS2I_SESSION_ID_LEN])
{
    struct ros2d_session *session;
    uint64_t now_ns = ros2i_now_ns();

    pthread_mutex_lock(&sessions->mutex);
    for (session = sessions->chain[id[0]]; session; session = session->next) {
        if (ros2i_secret_equal(session->id, id, ROS2I_SESSION_ID_LEN) &&
            !expired(session, now_ns)) {
            atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
            break;
        }
    }
    pthread_mutex_unlock(&sessions->mutex);
    return session;
}

void ros2d_session_put(struct ros2d_session *session)
{
    if (!session || atomic_fetch_sub_explicit(&session->refs, 1, memory_order_acq_rel) != 1)
        return;
    ros2i_wipe(session, sizeof(*session));
    free(session);
}

/* Takes the session out of its chain; false when another thread did so before. */
static bool unlink_session(struct ros2d_sessions *sessions, struct ros2d_session *session)
{
    struct ros2d_session **link;
    bool found = false;

    pthread_mutex_lock(&sessions->mutex);
    for (link = &sessions->chain[session->id[0]]; *link; link = &(*link)->next) {
        if (*link == session) {
            *link = session->next;
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&sessions->mutex);
    return found;
}

void ros2d_sessions_close(struct ros2d_sessions *sessions, struct ros2d_session *session)
{
    if (!unlink_session(sessions, session))
        return;
    /* Sequentially consistent: handles.c checks it after it has published a new handle, so either the sweep below sees
     * that handle or the opener sees closed. */
    atomic_store(&session->closed, true);
    ros2d_handles_close_session(sessions->handles, session);
    ros2d_regions_close_session(sessions->regions, session);
    if (sessions->on_close)
        sessions->on_close(sessions->on_close_arg, session);
    ros2d_limit_give(&session->principal.tenant->limits.sessions, 1);
    ros2d_session_put(session);
}

/* One session that has expired (or any, with all), referenced; NULL: none left. */
static struct ros2d_session *next_to_close(struct ros2d_sessions *sessions, uint64_t now_ns,
                                           bool all)
{
    struct ros2d_session *session = NULL;

    pthread_mutex_lock(&sessions->mutex);
    for (unsigned i = 0; i < CHAINS && !session; i++) {
        for (session = sessions->chain[i]; session; session = session->next) {
            if (all || expired(session, now_ns)) {
                atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
                break;
            }
        }
    }
    pthread_mutex_unlock(&sessions->mutex);
    return session;
}

static int close_matching(struct ros2d_sessions *sessions, uint64_t now_ns, bool all)
{
    struct ros2d_session *session;
    int count = 0;

    while ((session = next_to_close(sessions, now_ns, all))) {
        ros2d_sessions_close(sessions, session);
        ros2d_session_put(session);
        count++;
    }
    return count;
}

int ros2d_sessions_expire(struct ros2d_sessions *sessions, uint64_t now_ns)
{
    return close_matching(sessions, now_ns, false);
}

void ros2d_sessions_close_all(struct ros2d_sessions *sessions)
{
    close_matching(sessions, 0, true);
}
