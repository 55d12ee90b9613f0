/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sessions: chains by the first bytes of the id, which is random. The table has one reference to each open
 * session. Closing takes it out of the table first, so no new user finds it; then its handles and regions go, then the
 * data threads hear of it. No lock is held while others are called. */
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

#define CHAINS 1024u /* power of two; sessions are some hundreds per tenant */

struct ros2d_sessions {
    pthread_mutex_t mutex;
    uint64_t lifetime_ns;                                       /* fixed after create */
    struct ros2d_handles *handles;                              /* fixed after create */
    struct ros2d_regions *regions;                              /* fixed after create */
    void (*on_close)(void *arg, struct ros2d_session *session); /* guarded by mutex */
    void *on_close_arg;                                         /* guarded by mutex */
    uint64_t last_serial;                                       /* guarded by mutex */
    struct ros2d_session *chain[CHAINS];                        /* guarded by mutex */
};

static struct ros2d_session **chain_of(struct ros2d_sessions *sessions, const uint8_t *id)
{
    return &sessions->chain[(id[0] | (unsigned)id[1] << 8) & (CHAINS - 1)];
}

/* An id is no secret and is random: memcmp's time tells nothing worth having. Under the mutex. */
static struct ros2d_session **find(struct ros2d_sessions *sessions, const uint8_t *id)
{
    struct ros2d_session **at = chain_of(sessions, id);

    while (*at && memcmp((*at)->id, id, ROS2I_SESSION_ID_LEN) != 0)
        at = &(*at)->next;
    return at;
}

int ros2d_sessions_create(uint64_t lifetime_ns, struct ros2d_handles *handles,
                          struct ros2d_regions *regions, struct ros2d_sessions **sessions_p)
{
    struct ros2d_sessions *sessions = calloc(1, sizeof(*sessions));

    if (!sessions)
        return ros2i_fail(ENOMEM, "sessions: out of memory");
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
    pthread_mutex_lock(&sessions->mutex);
    sessions->on_close = fn;
    sessions->on_close_arg = arg;
    pthread_mutex_unlock(&sessions->mutex);
}

/* -- references -- */

static void ref(struct ros2d_session *session)
{
    atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
}

void ros2d_session_put(struct ros2d_session *session)
{
    /* Release and acquire: what other holders did is done before the memory goes. */
    if (atomic_fetch_sub_explicit(&session->refs, 1, memory_order_acq_rel) != 1)
        return;
    ros2i_wipe(session->secret, sizeof(session->secret));
    free(session);
}

/* -- open, get -- */

int ros2d_sessions_open(struct ros2d_sessions *sessions, const struct ros2d_principal *principal,
                        struct ros2d_session **session_p)
{
    struct ros2d_limit *limit = &principal->tenant->limits.sessions;
    struct ros2d_session *session, **at;
    int rc = ros2d_limit_take(limit, 1, "open sessions", "limits.sessions");

    if (rc < 0)
        return rc;
    session = calloc(1, sizeof(*session));
    if (!session) {
        rc = ros2i_fail(ENOMEM, "session: out of memory");
        goto give;
    }
    rc = ros2i_random(session->id, sizeof(session->id));
    if (rc == 0)
        rc = ros2i_random(session->secret, sizeof(session->secret));
    if (rc < 0)
        goto free_session;
    session->principal = *principal;
    atomic_init(&session->refs, 2); /* the table's and the caller's */
    ros2d_sessions_touch(sessions, session);
    pthread_mutex_lock(&sessions->mutex);
    session->serial = ++sessions->last_serial;
    at = find(sessions, session->id);
    assert(!*at); /* 128 random bits */
    *at = session;
    pthread_mutex_unlock(&sessions->mutex);
    *session_p = session;
    return 0;
free_session:
    free(session);
give:
    ros2d_limit_give(limit, 1);
    return rc;
}

/* With its token, whatever its channels do; else when it was without a call or a channel for its lifetime. */
static bool has_expired(struct ros2d_session *session, uint64_t now_ns)
{
    if (session->principal.expiry_ns != INT64_MAX &&
        session->principal.expiry_ns <= ros2i_wall_clock_ns())
        return true;
    return atomic_load_explicit(&session->channels, memory_order_acquire) == 0 &&
           atomic_load_explicit(&session->expiry_ns, memory_order_relaxed) <= now_ns;
}

struct ros2d_session *ros2d_sessions_get(struct ros2d_sessions *sessions,
                                         const uint8_t id[ROS2I_SESSION_ID_LEN])
{
    uint64_t now_ns = ros2i_now_ns();
    struct ros2d_session *session;

    pthread_mutex_lock(&sessions->mutex);
    session = *find(sessions, id);
    if (session && has_expired(session, now_ns))
        session = NULL;
    if (session)
        ref(session);
    pthread_mutex_unlock(&sessions->mutex);
    return session;
}

void ros2d_sessions_touch(struct ros2d_sessions *sessions, struct ros2d_session *session)
{
    uint64_t now_ns = ros2i_now_ns();
    uint64_t expiry_ns = sessions->lifetime_ns > ROS2I_FOREVER - now_ns
                             ? ROS2I_FOREVER
                             : now_ns + sessions->lifetime_ns;

    atomic_store_explicit(&session->expiry_ns, expiry_ns, memory_order_relaxed);
}

/* -- close -- */

/* The caller holds a reference. */
void ros2d_sessions_close(struct ros2d_sessions *sessions, struct ros2d_session *session)
{
    void (*on_close)(void *arg, struct ros2d_session *closed);
    struct ros2d_session **at;
    void *arg;

    pthread_mutex_lock(&sessions->mutex);
    if (atomic_load_explicit(&session->closed, memory_order_relaxed)) {
        pthread_mutex_unlock(&sessions->mutex);
        return;
    }
    atomic_store_explicit(&session->closed, true, memory_order_release);
    at = find(sessions, session->id);
    assert(*at == session);
    *at = session->next;
    session->next = NULL;
    on_close = sessions->on_close;
    arg = sessions->on_close_arg;
    pthread_mutex_unlock(&sessions->mutex);

    ros2d_handles_close_session(sessions->handles, session);
    ros2d_regions_close_session(sessions->regions, session);
    ros2d_limit_give(&session->principal.tenant->limits.sessions, 1);
    if (on_close)
        on_close(arg, session);
    ros2d_session_put(session);
}

static struct ros2d_session *find_expired(struct ros2d_sessions *sessions, uint64_t now_ns,
                                          bool all)
{
    for (unsigned i = 0; i < CHAINS; i++)
        for (struct ros2d_session *session = sessions->chain[i]; session; session = session->next)
            if (all || has_expired(session, now_ns))
                return session;
    return NULL;
}

static int close_each(struct ros2d_sessions *sessions, uint64_t now_ns, bool all)
{
    for (int count = 0;; count++) {
        pthread_mutex_lock(&sessions->mutex);
        struct ros2d_session *session = find_expired(sessions, now_ns, all);
        if (session)
            ref(session);
        pthread_mutex_unlock(&sessions->mutex);
        if (!session)
            return count;
        ros2d_sessions_close(sessions, session);
        ros2d_session_put(session);
    }
}

int ros2d_sessions_expire(struct ros2d_sessions *sessions, uint64_t now_ns)
{
    return close_each(sessions, now_ns, false);
}

void ros2d_sessions_close_all(struct ros2d_sessions *sessions)
{
    close_each(sessions, 0, true);
}
