/* SPDX-License-Identifier: Apache-2.0 */
/* The table of open files. Who may close a slot's node:
 *
 *   open: generation is odd
 *   closing: generation is even, `closing` holds it; whoever sees refs at zero then and swaps closing to 0 has the node
 *   free: closing is 0 and the slot is on the free list
 *   reserved: as free, but on no list: an open that is under way has it
 *
 * The node's taker saw refs at zero after the generation was bumped: from then on nobody can count in and find the handle
 * valid. `closing` names the generation, so a thread that was held up between its look at refs and its swap cannot take a
 * later life of the slot. The free list, and open and close as such, are guarded by the mutex; get, put and close_later take no
 * lock. */
#include "config.h"

#include "daemon/tenant/handles.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/protocol/capability.h"

/* A slot is not used again once its generations come near their end: no stale handle can come true. */
#define GENERATION_LAST (UINT32_MAX - 1)

struct slot {
    struct ros2d_handle h; /* first: a handle's address is its slot's */
    _Atomic uint32_t closing;
    struct slot *next_reap; /* owned by the reap list */
    uint32_t next_free;     /* guarded by mutex; index + 1, 0 ends the list */
};

struct ros2d_handles {
    pthread_mutex_t mutex;
    uint32_t max;
    uint32_t used;       /* guarded by mutex: slots that were ever used, a prefix of the table */
    uint32_t first_free; /* guarded by mutex */
    _Atomic uint32_t count;
    _Atomic(struct slot *) reap; /* nodes whose last user was a data thread */
    struct slot slot[];
};

int ros2d_handles_create(uint32_t max, struct ros2d_handles **handles_p)
{
    struct ros2d_handles *handles;

    if (max == 0)
        return ros2i_fail(EINVAL, "handles: a table of 0");
    handles = calloc(1, sizeof(*handles) + (size_t)max * sizeof(struct slot));
    if (!handles)
        return ros2i_fail(ENOMEM, "handles: no memory for %u", max);
    pthread_mutex_init(&handles->mutex, NULL);
    handles->max = max;
    *handles_p = handles;
    return 0;
}

/* -- a node's end -- */

static void free_slot(struct ros2d_handles *handles, struct slot *slot)
{
    pthread_mutex_lock(&handles->mutex);
    if (atomic_load_explicit(&slot->h.generation, memory_order_relaxed) < GENERATION_LAST) {
        slot->next_free = handles->first_free;
        handles->first_free = slot->h.index + 1;
    }
    pthread_mutex_unlock(&handles->mutex);
}

/* The caller took the slot. May block. */
static void close_node(struct ros2d_handles *handles, struct slot *slot)
{
    struct ros2d_tenant *tenant = slot->h.tenant;

    tenant->engine_ops->close(slot->h.node);
    slot->h.node = NULL;
    ros2d_limit_give(&tenant->limits.open_files, 1);
    free_slot(handles, slot);
}

static bool take(struct slot *slot)
{
    uint32_t closing = atomic_load(&slot->closing);

    return closing != 0 && atomic_load(&slot->h.refs) == 0 &&
           atomic_compare_exchange_strong(&slot->closing, &closing, 0);
}

void ros2d_handles_reap(struct ros2d_handles *handles)
{
    /* The whole list at once: no other thread ever removes one, so nothing can come back under a pusher's feet. */
    struct slot *slot = atomic_exchange(&handles->reap, NULL);

    while (slot) {
        struct slot *next = slot->next_reap;
        close_node(handles, slot);
        slot = next;
    }
}

void ros2d_handles_destroy(struct ros2d_handles *handles)
{
    if (!handles)
        return;
    ros2d_handles_reap(handles);
    assert(atomic_load(&handles->count) == 0);
    pthread_mutex_destroy(&handles->mutex);
    free(handles);
}

/* -- open -- */

static int closed_meanwhile(void)
{
    return ros2i_fail(ESHUTDOWN, "the session was closed meanwhile");
}

static struct slot *new_slot(struct ros2d_handles *handles)
{
    struct slot *slot;

    if (handles->first_free) {
        slot = &handles->slot[handles->first_free - 1];
        handles->first_free = slot->next_free;
        return slot;
    }
    if (handles->used == handles->max)
        return NULL;
    slot = &handles->slot[handles->used];
    slot->h.index = handles->used++;
    return slot;
}

int ros2d_handles_reserve(struct ros2d_handles *handles, struct ros2d_session *session,
                          uint32_t *reserved_p)
{
    struct ros2d_limit *limit = &session->principal.tenant->limits.open_files;
    struct slot *slot;
    int rc;

    if (atomic_load_explicit(&session->closed, memory_order_acquire))
        return closed_meanwhile();
    rc = ros2d_limit_take(limit, 1, "open files",
                          "limits.open_files (or RLIMIT_NOFILE, where its log says so)");
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&handles->mutex);
    slot = new_slot(handles);
    pthread_mutex_unlock(&handles->mutex);
    if (!slot) {
        ros2d_limit_give(limit, 1);
        return ros2i_fail(
            EMFILE, "%u files are open, all that the daemon has room for; raise limits.open_files",
            handles->max);
    }
    *reserved_p = slot->h.index;
    return 0;
}

void ros2d_handles_abort(struct ros2d_handles *handles, struct ros2d_session *session,
                         uint32_t reserved)
{
    ros2d_limit_give(&session->principal.tenant->limits.open_files, 1);
    free_slot(handles, &handles->slot[reserved]);
}

/* Under the mutex: a session that closes after this finds the handle in the table. */
static int insert(struct ros2d_handles *handles, struct ros2d_session *session, struct slot *slot,
                  const struct ros2d_handle *what, uint64_t *handle_p)
{
    uint32_t generation;

    if (atomic_load_explicit(&session->closed, memory_order_acquire))
        return closed_meanwhile();
    slot->h.session_serial = what->session_serial;
    slot->h.tenant = what->tenant;
    slot->h.node = what->node;
    slot->h.rights = what->rights;
    slot->h.directory = what->directory;
    generation = atomic_load_explicit(&slot->h.generation, memory_order_relaxed) + 1;
    atomic_store(&slot->h.generation,
                 generation); /* pairs with the load in get: the fields are visible with it */
    atomic_fetch_add_explicit(&handles->count, 1, memory_order_relaxed);
    *handle_p = ros2i_handle_make(slot->h.index, generation);
    return 0;
}

int ros2d_handles_commit(struct ros2d_handles *handles, struct ros2d_session *session,
                         uint32_t reserved, struct ros2_node *node, uint32_t rights, bool directory,
                         uint64_t *handle_p)
{
    struct ros2d_handle what = {.session_serial = session->serial,
                                .tenant = session->principal.tenant,
                                .node = node,
                                .rights = rights,
                                .directory = directory};
    int rc;

    pthread_mutex_lock(&handles->mutex);
    rc = insert(handles, session, &handles->slot[reserved], &what, handle_p);
    pthread_mutex_unlock(&handles->mutex);
    if (rc < 0)
        ros2d_handles_abort(handles, session, reserved);
    return rc;
}

int ros2d_handles_open(struct ros2d_handles *handles, struct ros2d_session *session,
                       struct ros2_node *node, uint32_t rights, bool directory, uint64_t *handle_p)
{
    uint32_t reserved;
    int rc = ros2d_handles_reserve(handles, session, &reserved);

    return rc < 0 ? rc
                  : ros2d_handles_commit(handles, session, reserved, node, rights, directory,
                                         handle_p);
}

/* -- use -- */

struct ros2d_handle *ros2d_handles_get(struct ros2d_handles *handles,
                                       const struct ros2d_session *session, uint64_t handle)
{
    uint32_t index = ros2i_handle_index(handle), generation = ros2i_handle_generation(handle);
    struct ros2d_handle *h;

    if (index >= handles->max || (generation & 1) == 0)
        return NULL;
    h = &handles->slot[index].h;
    atomic_fetch_add(&h->refs, 1); /* before the look at generation, see handles.h */
    if (atomic_load(&h->generation) != generation || h->session_serial != session->serial) {
        ros2d_handles_put(handles, h);
        return NULL;
    }
    return h;
}

/* The caller took the slot, and may not block. */
static void leave_to_reaper(struct ros2d_handles *handles, struct slot *slot)
{
    slot->next_reap = atomic_load_explicit(&handles->reap, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&handles->reap, &slot->next_reap, slot))
        ;
}

void ros2d_handles_put(struct ros2d_handles *handles, struct ros2d_handle *h)
{
    struct slot *slot = (struct slot *)h;

    if (atomic_fetch_sub(&h->refs, 1) == 1 && take(slot))
        leave_to_reaper(handles, slot);
}

/* -- close -- */

/* The slot was open in this odd generation. Of those who close it at once, one gets true; from here on gets fail. */
static bool revoke(struct ros2d_handles *handles, struct slot *slot, uint32_t generation)
{
    if (!atomic_compare_exchange_strong(&slot->h.generation, &generation, generation + 1))
        return false;
    atomic_store(&slot->closing,
                 generation + 1); /* after the generation: who sees it knows that no get succeeds */
    atomic_fetch_sub_explicit(&handles->count, 1, memory_order_relaxed);
    return true;
}

/* Under the mutex: nobody opens the slot anew meanwhile. */
static bool is_open_for(const struct slot *slot, const struct ros2d_session *session,
                        uint32_t *generation_p)
{
    *generation_p = atomic_load_explicit(&slot->h.generation, memory_order_relaxed);
    return (*generation_p & 1) && slot->h.session_serial == session->serial;
}

int ros2d_handles_close(struct ros2d_handles *handles, struct ros2d_session *session,
                        uint64_t handle)
{
    uint32_t index = ros2i_handle_index(handle);
    struct slot *slot = index < handles->max ? &handles->slot[index] : NULL;
    uint32_t generation;
    bool found;

    pthread_mutex_lock(&handles->mutex);
    found = slot && is_open_for(slot, session, &generation) &&
            generation == ros2i_handle_generation(handle) && revoke(handles, slot, generation);
    pthread_mutex_unlock(&handles->mutex);
    if (!found)
        return ros2i_fail(EBADF, "handle 0x%llx is not an open file of this session",
                          (unsigned long long)handle);
    if (take(slot))
        close_node(handles, slot);
    return 0;
}

void ros2d_handles_close_later(struct ros2d_handles *handles, const struct ros2d_session *session,
                               uint64_t handle)
{
    /* Counted in: the slot is this session's until it is counted out, which is what closes it then. */
    struct ros2d_handle *h = ros2d_handles_get(handles, session, handle);

    if (!h)
        return;
    revoke(handles, (struct slot *)h, ros2i_handle_generation(handle));
    ros2d_handles_put(handles, h);
}

void ros2d_handles_close_session(struct ros2d_handles *handles, struct ros2d_session *session)
{
    uint32_t used;

    pthread_mutex_lock(&handles->mutex);
    used = handles->used;
    pthread_mutex_unlock(&handles->mutex);
    /* One at a time, so that others get at the table between two closes that may block. */
    for (uint32_t i = 0; i < used; i++) {
        struct slot *slot = &handles->slot[i];
        uint32_t generation;

        pthread_mutex_lock(&handles->mutex);
        bool found = is_open_for(slot, session, &generation) && revoke(handles, slot, generation);
        pthread_mutex_unlock(&handles->mutex);
        if (found && take(slot))
            close_node(handles, slot);
    }
}

uint32_t ros2d_handles_count(const struct ros2d_handles *handles)
{
    return atomic_load_explicit(&handles->count, memory_order_relaxed);
}
