/* SPDX-License-Identifier: Apache-2.0 */
/* Registered client memory. All is guarded by the mutex but the revision, live and users. Always holds: a slot is free, or its
 * region's generation is that of its id; a revoked region stays until its last user has let go. For that whoever counts itself in
 * looks at live afterwards, and whoever revokes stores live and looks at users afterwards (sequentially consistent): one of
 * them sees the other. A slot is never freed, so users may be counted up and down again by one who comes too late. */
#include "config.h"

#include "daemon/tenant/regions.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/protocol/capability.h" /* an id is made like a handle */

#define RIGHTS_KNOWN (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

struct slot {
    struct ros2d_region
        *region; /* NULL: free. Apart, since most slots of a large table are never used */
    struct ros2d_tenant *tenant;
    uint32_t generation;
    _Atomic uint64_t live; /* id of the region that may be acquired; 0: none */
    _Atomic uint32_t users;
    uint32_t next_free; /* index + 1, 0 ends the list */
    bool revoked;
};

struct ros2d_regions {
    pthread_mutex_t mutex;
    pthread_cond_t unused; /* a revoked region's last user has let go, or stopped */
    bool stopped;          /* nobody is to wait any more */
    uint32_t max, used, first_free;
    _Atomic uint64_t revision;
    struct slot slot[];
};

int ros2d_regions_create(uint32_t max, struct ros2d_regions **regions_p)
{
    struct ros2d_regions *regions;
    pthread_condattr_t attr;

    if (max == 0)
        return ros2i_fail(EINVAL, "regions: a table of 0");
    regions = calloc(1, sizeof(*regions) + (size_t)max * sizeof(struct slot));
    if (!regions)
        return ros2i_fail(ENOMEM, "regions: no memory for %u", max);
    pthread_mutex_init(&regions->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&regions->unused, &attr);
    pthread_condattr_destroy(&attr);
    regions->max = max;
    *regions_p = regions;
    return 0;
}

void ros2d_regions_destroy(struct ros2d_regions *regions)
{
    if (!regions)
        return;
    for (uint32_t i = 0; i < regions->used; i++)
        free(regions->slot[i].region);
    pthread_cond_destroy(&regions->unused);
    pthread_mutex_destroy(&regions->mutex);
    free(regions);
}

uint64_t ros2d_regions_revision(const struct ros2d_regions *regions)
{
    return atomic_load_explicit(&regions->revision, memory_order_acquire);
}

/* -- under the mutex -- */

static struct slot *new_slot(struct ros2d_regions *regions)
{
    struct slot *slot;

    if (regions->first_free) {
        slot = &regions->slot[regions->first_free - 1];
        regions->first_free = slot->next_free;
        return slot;
    }
    return regions->used < regions->max ? &regions->slot[regions->used++] : NULL;
}

static struct slot *find(struct ros2d_regions *regions, uint64_t id)
{
    uint32_t index = ros2i_handle_index(id);
    struct slot *slot = index < regions->used ? &regions->slot[index] : NULL;

    return slot && slot->region && slot->region->id == id ? slot : NULL;
}

static void free_slot(struct ros2d_regions *regions, struct slot *slot)
{
    ros2d_limit_give(&slot->tenant->limits.registered_bytes, slot->region->len);
    ros2d_limit_give(&slot->tenant->limits.regions, 1);
    free(slot->region);
    slot->region = NULL;
    slot->tenant = NULL;
    slot->revoked = false;
    if (slot->generation != UINT32_MAX) { /* else its ids are used up */
        slot->next_free = regions->first_free;
        regions->first_free = (uint32_t)(slot - regions->slot) + 1;
    }
    pthread_cond_broadcast(&regions->unused);
}

static void free_if_unused(struct ros2d_regions *regions, struct slot *slot)
{
    if (slot->region && slot->revoked && atomic_load(&slot->users) == 0)
        free_slot(regions, slot);
}

static void revoke(struct ros2d_regions *regions, struct slot *slot)
{
    slot->revoked = true;
    atomic_store(&slot->live, 0);
    atomic_fetch_add_explicit(&regions->revision, 1, memory_order_release);
    free_if_unused(regions, slot);
}

static int insert(struct ros2d_regions *regions, struct ros2d_session *session,
                  struct ros2d_region *region, uint64_t *id_p)
{
    struct slot *slot;

    if (atomic_load_explicit(&session->closed, memory_order_acquire))
        return ros2i_fail(ESHUTDOWN, "the session was closed meanwhile");
    slot = new_slot(regions);
    if (!slot)
        return ros2i_fail(
            EDQUOT,
            "%u regions are registered, all that the daemon has room for; raise limits.regions",
            regions->max);
    slot->generation++;
    slot->region = region;
    slot->tenant = session->principal.tenant;
    slot->revoked = false;
    region->id = ros2i_handle_make((uint32_t)(slot - regions->slot), slot->generation);
    region->session_serial = session->serial;
    atomic_store(&slot->live, region->id);
    *id_p = region->id;
    return 0;
}

/* -- interface -- */

static int check(const struct ros2d_region *region)
{
    if (region->len == 0)
        return ros2i_fail(EINVAL, "region: length 0");
    if (region->rights == 0 || (region->rights & ~(uint32_t)RIGHTS_KNOWN))
        return ros2i_fail(EINVAL, "region: rights 0x%x, known are 0x%x", region->rights,
                          RIGHTS_KNOWN);
    if (region->key_len > sizeof(region->key))
        return ros2i_fail(EINVAL, "region: key of %u bytes, at most %zu are allowed",
                          region->key_len, sizeof(region->key));
    return 0;
}

int ros2d_regions_register(struct ros2d_regions *regions, struct ros2d_session *session,
                           const struct ros2d_region *region, uint64_t *id_p)
{
    struct ros2d_limits *limits = &session->principal.tenant->limits;
    struct ros2d_region *copy;
    int rc = check(region);

    if (rc < 0)
        return rc;
    copy = malloc(sizeof(*copy));
    if (!copy)
        return ros2i_fail(ENOMEM, "region: out of memory");
    *copy = *region;
    rc = ros2d_limit_take(&limits->regions, 1, "registered regions", "limits.regions");
    if (rc < 0)
        goto free_copy;
    rc = ros2d_limit_take(&limits->registered_bytes, region->len, "bytes of registered memory",
                          "limits.registered_bytes");
    if (rc < 0)
        goto give_region;
    pthread_mutex_lock(&regions->mutex);
    rc = insert(regions, session, copy, id_p);
    pthread_mutex_unlock(&regions->mutex);
    if (rc < 0)
        goto give_bytes;
    return 0;
give_bytes:
    ros2d_limit_give(&limits->registered_bytes, region->len);
give_region:
    ros2d_limit_give(&limits->regions, 1);
free_copy:
    free(copy);
    return rc;
}

int ros2d_regions_acquire(struct ros2d_regions *regions, const struct ros2d_session *session,
                          uint64_t id, struct ros2d_region *region_p)
{
    struct slot *slot;
    bool found;

    pthread_mutex_lock(&regions->mutex);
    slot = find(regions, id);
    found = slot && !slot->revoked && slot->region->session_serial == session->serial;
    if (found) {
        atomic_fetch_add(&slot->users, 1);
        *region_p = *slot->region;
    }
    pthread_mutex_unlock(&regions->mutex);
    return found ? 0
                 : ros2i_fail(ENOENT, "region 0x%" PRIx64 " is not registered by this session", id);
}

int ros2d_regions_reacquire(struct ros2d_regions *regions, uint64_t id)
{
    struct slot *slot = &regions->slot[ros2i_handle_index(id)];

    atomic_fetch_add(&slot->users, 1);
    if (atomic_load(&slot->live) == id)
        return 0;
    ros2d_regions_release(regions, id);
    return -ENOENT;
}

void ros2d_regions_release(struct ros2d_regions *regions, uint64_t id)
{
    struct slot *slot = &regions->slot[ros2i_handle_index(id)];
    uint32_t users = atomic_fetch_sub(&slot->users, 1);

    assert(users > 0);
    if (users > 1 || atomic_load(&slot->live) != 0)
        return;
    pthread_mutex_lock(&regions->mutex);
    free_if_unused(regions, slot);
    pthread_mutex_unlock(&regions->mutex);
}

bool ros2d_regions_is_live(const struct ros2d_regions *regions, uint64_t id)
{
    return atomic_load(&regions->slot[ros2i_handle_index(id)].live) == id;
}

int ros2d_regions_revoke(struct ros2d_regions *regions, struct ros2d_session *session, uint64_t id)
{
    struct slot *slot;
    bool found;

    pthread_mutex_lock(&regions->mutex);
    slot = find(regions, id);
    found = slot && slot->region->session_serial == session->serial;
    if (found && !slot->revoked)
        revoke(regions, slot);
    pthread_mutex_unlock(&regions->mutex);
    return found ? 0
                 : ros2i_fail(ENOENT, "region 0x%" PRIx64 " is not registered by this session", id);
}

int ros2d_regions_wait_unused(struct ros2d_regions *regions, uint64_t id, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / ROS2I_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % ROS2I_NS_PER_S)};
    int rc = 0;

    pthread_mutex_lock(&regions->mutex);
    while (rc == 0 && !regions->stopped && find(regions, id))
        rc = pthread_cond_timedwait(&regions->unused, &regions->mutex, &until);
    bool used = find(regions, id), stopped = regions->stopped;
    pthread_mutex_unlock(&regions->mutex);
    if (!used)
        return 0;
    if (stopped)
        return ros2i_fail(EAGAIN,
                          "region 0x%" PRIx64
                          " is still in use by requests in flight, and ros2d is ending; call again",
                          id);
    return ros2i_fail(ETIMEDOUT, "region 0x%" PRIx64 " is still in use by requests in flight", id);
}

void ros2d_regions_stop_waits(struct ros2d_regions *regions)
{
    pthread_mutex_lock(&regions->mutex);
    regions->stopped = true;
    pthread_cond_broadcast(&regions->unused);
    pthread_mutex_unlock(&regions->mutex);
}

void ros2d_regions_close_session(struct ros2d_regions *regions, struct ros2d_session *session)
{
    pthread_mutex_lock(&regions->mutex);
    for (uint32_t i = 0; i < regions->used; i++) {
        struct slot *slot = &regions->slot[i];

        if (slot->region && !slot->revoked && slot->region->session_serial == session->serial)
            revoke(regions, slot);
    }
    pthread_mutex_unlock(&regions->mutex);
}
