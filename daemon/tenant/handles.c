/* SPDX-License-Identifier: Apache-2.0 */
/* Open files; the protocol between users and closers is told in handles.h.
 *
 * The mutex guards the free list, the closing list and the writing of a slot's fields; users never take it. A slot is in
 * one of: the free list (generation even), open (odd), the closing list (even, still counted in by somebody). */
#include "config.h"

#include "daemon/tenant/handles.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/error.h"

struct ros2d_handles {
    struct ros2d_handle *slot; /* max of them; their memory stays */
    uint32_t max;
    pthread_mutex_t mutex;
    /* Guarded by mutex: */
    uint32_t *free_list;
    uint32_t free_count;
    uint32_t used;     /* slots [0, used) were ever opened */
    uint32_t *closing; /* indices */
    uint32_t closing_count;
    _Atomic uint32_t open;
};

int ros2d_handles_create(uint32_t max, struct ros2d_handles **handles_p)
{
    struct ros2d_handles *handles = calloc(1, sizeof(*handles));

    if (!handles)
        return ros2i_fail(ENOMEM, "handles: no memory");
    handles->max = max;
    handles->slot = calloc(max, sizeof(*handles->slot));
    handles->free_list = calloc(max, sizeof(*handles->free_list));
    handles->closing = calloc(max, sizeof(*handles->closing));
    if (!handles->slot || !handles->free_list || !handles->closing) {
        free(handles->slot);
        free(handles->free_list);
        free(handles->closing);
        free(handles);
        return ros2i_fail(ENOMEM, "handles: no memory for %u open files; lower limits.open_files",
                          max);
    }
    pthread_mutex_init(&handles->mutex, NULL);
    *handles_p = handles;
    return 0;
}

void ros2d_handles_destroy(struct ros2d_handles *handles)
{
    if (!handles)
        return;
    ros2d_handles_reap(handles);
    assert(handles->closing_count == 0);
    pthread_mutex_destroy(&handles->mutex);
    free(handles->slot);
    free(handles->free_list);
    free(handles->closing);
    free(handles);
}

/* The mutex is held. NULL: the table is full. */
static struct ros2d_handle *take_slot(struct ros2d_handles *handles)
{
    struct ros2d_handle *h;

    if (handles->free_count > 0)
        return &handles->slot[handles->free_list[--handles->free_count]];
    if (handles->used == handles->max)
        return NULL;
    h = &handles->slot[handles->used];
    h->index = handles->used++;
    return h;
}

int ros2d_handles_open(struct ros2d_handles *handles, struct ros2d_session *session,
                       struct ros2_node *node, uint32_t rights, bool directory, uint64_t *handle_p)
{
    struct ros2d_tenant *tenant = session->principal.tenant;
    struct ros2d_handle *h;
    uint32_t generation;
    int rc = ros2d_limit_take(&tenant->limits.open_files, 1, "open files", "limits.open_files");

    if (rc < 0)
        goto close_node;
    pthread_mutex_lock(&handles->mutex);
    h = take_slot(handles);
    if (!h) {
        pthread_mutex_unlock(&handles->mutex);
        rc = ros2i_fail(EMFILE, "the daemon has no handle left (%u are open); close files",
                        handles->max);
        goto give;
    }
    h->session_serial = session->serial;
    h->tenant = tenant;
    h->node = node;
    h->rights = rights;
    h->directory = directory;
    generation = atomic_load(&h->generation) + 1;
    atomic_store(&h->generation, generation); /* publishes the fields to ros2d_handles_get */
    pthread_mutex_unlock(&handles->mutex);
    atomic_fetch_add_explicit(&handles->open, 1, memory_order_relaxed);
    if (atomic_load(&session->closed)) {
        /* Closed meanwhile: its sweep may have come before this handle. Whoever bumps the generation owns the node. */
        ros2d_handles_close(handles, session, ros2i_handle_make(h->index, generation));
        return ros2i_fail(ESHUTDOWN, "the session was closed");
    }
    *handle_p = ros2i_handle_make(h->index, generation);
    return 0;
give:
    ros2d_limit_give(&tenant->limits.open_files, 1);
close_node:
    tenant->engine_ops->close(node);
    return rc;
}

struct ros2d_handle *ros2d_handles_get(struct ros2d_handles *handles,
                                       const struct ros2d_session *session, uint64_t handle)
{
    uint32_t index = ros2i_handle_index(handle), generation = ros2i_handle_generation(handle);
    struct ros2d_handle *h;

    if (index >= handles->max || generation % 2 == 0)
        return NULL;
    h = &handles->slot[index];
    atomic_fetch_add(&h->refs,
                     1); /* seq_cst with the load below and ros2d_handles_close: see handles.h */
    if (atomic_load(&h->generation) == generation && h->session_serial == session->serial)
        return h;
    ros2d_handles_put(handles, h);
    return NULL;
}

void ros2d_handles_put(struct ros2d_handles *handles, struct ros2d_handle *h)
{
    (void)handles;
    atomic_fetch_sub(&h->refs, 1);
}

/* Nobody can count himself in any more, and nobody is. May block. */
static void finish(struct ros2d_handles *handles, struct ros2d_handle *h)
{
    struct ros2d_tenant *tenant = h->tenant;

    tenant->engine_ops->close(h->node);
    h->node = NULL;
    ros2d_limit_give(&tenant->limits.open_files, 1);
    atomic_fetch_sub_explicit(&handles->open, 1, memory_order_relaxed);
    pthread_mutex_lock(&handles->mutex);
    handles->free_list[handles->free_count++] = h->index;
    pthread_mutex_unlock(&handles->mutex);
}

int ros2d_handles_close(struct ros2d_handles *handles, struct ros2d_session *session,
                        uint64_t handle)
{
    uint32_t generation = ros2i_handle_generation(handle);
    struct ros2d_handle *h = ros2d_handles_get(handles, session, handle);
    bool mine;

    if (!h)
        return ros2i_fail(EBADF, "handle %#llx is not open in this session",
                          (unsigned long long)handle);
    mine = atomic_compare_exchange_strong(&h->generation, &generation, generation + 1);
    ros2d_handles_put(handles, h);
    if (!mine)
        return ros2i_fail(EBADF, "handle %#llx was closed meanwhile", (unsigned long long)handle);
    if (atomic_load(&h->refs) == 0) {
        finish(handles, h);
        return 0;
    }
    pthread_mutex_lock(&handles->mutex);
    handles->closing[handles->closing_count++] = h->index;
    pthread_mutex_unlock(&handles->mutex);
    return 0;
}

/* The next open handle of the session at or behind *index_p; 0: none. */
static uint64_t next_of_session(struct ros2d_handles *handles, const struct ros2d_session *session,
                                uint32_t *index_p)
{
    uint64_t found = 0;

    pthread_mutex_lock(&handles->mutex);
    while (*index_p < handles->used && !found) {
        struct ros2d_handle *h = &handles->slot[(*index_p)++];
        uint32_t generation = atomic_load(&h->generation);

        if (generation % 2 == 1 && h->session_serial == session->serial)
            found = ros2i_handle_make(h->index, generation);
    }
    pthread_mutex_unlock(&handles->mutex);
    return found;
}

void ros2d_handles_close_session(struct ros2d_handles *handles, struct ros2d_session *session)
{
    uint32_t index = 0;
    uint64_t handle;

    while ((handle = next_of_session(handles, session, &index)))
        ros2d_handles_close(handles, session, handle);
}

/* Takes one closed handle that nobody uses any more off the closing list. */
static struct ros2d_handle *next_to_reap(struct ros2d_handles *handles)
{
    struct ros2d_handle *found = NULL;

    pthread_mutex_lock(&handles->mutex);
    for (uint32_t i = 0; i < handles->closing_count && !found; i++) {
        struct ros2d_handle *h = &handles->slot[handles->closing[i]];

        if (atomic_load(&h->refs) == 0) {
            handles->closing[i] = handles->closing[--handles->closing_count];
            found = h;
        }
    }
    pthread_mutex_unlock(&handles->mutex);
    return found;
}

void ros2d_handles_reap(struct ros2d_handles *handles)
{
    struct ros2d_handle *h;

    while ((h = next_to_reap(handles)))
        finish(handles, h);
}

uint32_t ros2d_handles_count(const struct ros2d_handles *handles)
{
    return atomic_load_explicit(&((struct ros2d_handles *)(uintptr_t)handles)->open,
                                memory_order_relaxed);
}
