/* SPDX-License-Identifier: Apache-2.0 */
/* Registered client memory. A slot is free, live, or revoked and waiting for its last user; one mutex guards all, since
 * channels cache what they resolved and ask again only after a revoke. */
#include "config.h"

#include "daemon/tenant/regions.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/protocol/capability.h"

struct slot {
    struct ros2d_region region;
    struct ros2d_tenant *tenant;
    uint32_t generation; /* odd: live; even: free or revoked */
    uint32_t users;
    bool in_use; /* not in the free list */
};

struct ros2d_regions {
    pthread_mutex_t mutex;
    pthread_cond_t unused; /* a revoked region lost its last user */
    struct slot *slot;     /* grows up to max; guarded by mutex */
    uint32_t max, used;
    uint32_t *free_list;
    uint32_t free_count;
    _Atomic uint64_t revision;
};

int ros2d_regions_create(uint32_t max, struct ros2d_regions **regions_p)
{
    struct ros2d_regions *regions = calloc(1, sizeof(*regions));
    pthread_condattr_t attr;

    if (!regions)
        return ros2i_fail(ENOMEM, "regions: no memory");
    regions->max = max;
    regions->slot = calloc(max, sizeof(*regions->slot));
    regions->free_list = calloc(max, sizeof(*regions->free_list));
    if (!regions->slot || !regions->free_list) {
        free(regions->slot);
        free(regions->free_list);
        free(regions);
        return ros2i_fail(ENOMEM, "regions: no memory for %u; lower limits.regions", max);
    }
    pthread_mutex_init(&regions->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&regions->unused, &attr);
    pthread_condattr_destroy(&attr);
    *regions_p = regions;
    return 0;
}

void ros2d_regions_destroy(struct ros2d_regions *regions)
{
    if (!regions)
        return;
    pthread_mutex_destroy(&regions->mutex);
    pthread_cond_destroy(&regions->unused);
    free(regions->slot);
    free(regions->free_list);
    free(regions);
}

static int take_limits(struct ros2d_tenant *tenant, uint64_t len)
{
    int rc = ros2d_limit_take(&tenant->limits.regions, 1, "registered regions", "limits.regions");

    if (rc < 0)
        return rc;
    rc = ros2d_limit_take(&tenant->limits.registered_bytes, len, "registered bytes",
                          "limits.registered_bytes");
    if (rc < 0)
        ros2d_limit_give(&tenant->limits.regions, 1);
    return rc;
}

static void give_limits(struct ros2d_tenant *tenant, uint64_t len)
{
    ros2d_limit_give(&tenant->limits.registered_bytes, len);
    ros2d_limit_give(&tenant->limits.regions, 1);
}

static int check(const struct ros2d_region *region)
{
    if (region->len == 0 || region->len > INT64_MAX)
        return ros2i_fail(EINVAL, "register: a length of %llu bytes",
                          (unsigned long long)region->len);
    if (region->rights == 0 ||
        region->rights & ~(uint32_t)(ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE))
        return ros2i_fail(EINVAL, "register: rights %#x; 1 read, 2 write", region->rights);
    if (region->key_len == 0 || region->key_len > sizeof(region->key))
        return ros2i_fail(EINVAL, "register: a key of %u bytes, 1..%zu", region->key_len,
                          sizeof(region->key));
    if (region->kind != ROS2_MEMORY_HOST)
        return ros2i_fail(ENOTSUP, "register: memory of kind %u; this daemon knows host memory (0)",
                          region->kind);
    return 0;
}

int ros2d_regions_register(struct ros2d_regions *regions, struct ros2d_session *session,
                           const struct ros2d_region *region, uint64_t *id_p)
{
    struct ros2d_tenant *tenant = session->principal.tenant;
    struct slot *slot;
    uint32_t index;
    int rc = check(region);

    if (rc == 0)
        rc = take_limits(tenant, region->len);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&regions->mutex);
    if (regions->free_count > 0) {
        index = regions->free_list[--regions->free_count];
    } else if (regions->used < regions->max) {
        index = regions->used++;
    } else {
        pthread_mutex_unlock(&regions->mutex);
        give_limits(tenant, region->len);
        return ros2i_fail(EDQUOT, "register: the daemon's %u regions are in use", regions->max);
    }
    slot = &regions->slot[index];
    slot->region = *region;
    slot->generation++;
    slot->region.id = ros2i_handle_make(index, slot->generation);
    slot->region.session_serial = session->serial;
    slot->tenant = tenant;
    slot->in_use = true;
    *id_p = slot->region.id;
    rc = atomic_load(&session->closed) ? -ESHUTDOWN : 0;
    pthread_mutex_unlock(&regions->mutex);
    if (rc < 0) {
        ros2d_regions_revoke(regions, session, *id_p);
        return ros2i_fail(ESHUTDOWN, "the session was closed");
    }
    return 0;
}

/* The mutex is held. A live region of the session, or NULL. */
static struct slot *find(struct ros2d_regions *regions, uint64_t session_serial, uint64_t id)
{
    uint32_t index = ros2i_handle_index(id);
    struct slot *slot;

    if (index >= regions->used)
        return NULL;
    slot = &regions->slot[index];
    if (slot->generation != ros2i_handle_generation(id) || slot->generation % 2 == 0 ||
        slot->region.session_serial != session_serial)
        return NULL;
    return slot;
}

int ros2d_regions_acquire(struct ros2d_regions *regions, const struct ros2d_session *session,
                          uint64_t id, struct ros2d_region *region_p)
{
    struct slot *slot;

    pthread_mutex_lock(&regions->mutex);
    slot = find(regions, session->serial, id);
    if (slot) {
        slot->users++;
        *region_p = slot->region;
    }
    pthread_mutex_unlock(&regions->mutex);
    if (!slot)
        return ros2i_fail(ENOENT, "region %#llx is not registered in this session",
                          (unsigned long long)id);
    return 0;
}

/* The mutex is held; the region is revoked and unused. */
static void free_slot(struct ros2d_regions *regions, struct slot *slot)
{
    give_limits(slot->tenant, slot->region.len);
    memset(&slot->region.key, 0, sizeof(slot->region.key));
    slot->in_use = false;
    regions->free_list[regions->free_count++] = ros2i_handle_index(slot->region.id);
    pthread_cond_broadcast(&regions->unused);
}

void ros2d_regions_release(struct ros2d_regions *regions, uint64_t id)
{
    struct slot *slot;

    pthread_mutex_lock(&regions->mutex);
    slot = &regions->slot[ros2i_handle_index(id)];
    if (--slot->users == 0 && slot->generation % 2 == 0)
        free_slot(regions, slot);
    pthread_mutex_unlock(&regions->mutex);
}

/* The mutex is held. */
static void revoke(struct ros2d_regions *regions, struct slot *slot)
{
    slot->generation++;
    atomic_fetch_add_explicit(&regions->revision, 1, memory_order_release);
    if (slot->users == 0)
        free_slot(regions, slot);
}

int ros2d_regions_revoke(struct ros2d_regions *regions, struct ros2d_session *session, uint64_t id)
{
    struct slot *slot;

    pthread_mutex_lock(&regions->mutex);
    slot = find(regions, session->serial, id);
    if (slot)
        revoke(regions, slot);
    pthread_mutex_unlock(&regions->mutex);
    if (!slot)
        return ros2i_fail(ENOENT, "region %#llx is not registered in this session",
                          (unsigned long long)id);
    return 0;
}

int ros2d_regions_wait_unused(struct ros2d_regions *regions, uint64_t id, uint64_t deadline_ns)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / ROS2I_NS_PER_S),
                                      .tv_nsec = (long)(deadline_ns % ROS2I_NS_PER_S)};
    uint32_t index = ros2i_handle_index(id);
    int rc = 0;

    pthread_mutex_lock(&regions->mutex);
    if (index < regions->used) {
        const struct slot *slot = &regions->slot[index];

        while (slot->in_use && slot->region.id == id && rc == 0)
            rc = pthread_cond_timedwait(&regions->unused, &regions->mutex, &deadline);
    }
    pthread_mutex_unlock(&regions->mutex);
    if (rc == ETIMEDOUT)
        return ros2i_fail(ETIMEDOUT, "region %#llx: a transfer still uses it",
                          (unsigned long long)id);
    return 0;
}

void ros2d_regions_close_session(struct ros2d_regions *regions, struct ros2d_session *session)
{
    pthread_mutex_lock(&regions->mutex);
    for (uint32_t i = 0; i < regions->used; i++) {
        struct slot *slot = &regions->slot[i];

        if (slot->generation % 2 == 1 && slot->region.session_serial == session->serial)
            revoke(regions, slot);
    }
    pthread_mutex_unlock(&regions->mutex);
}

uint64_t ros2d_regions_revision(const struct ros2d_regions *regions)
{
    return atomic_load_explicit(&((struct ros2d_regions *)(uintptr_t)regions)->revision,
                                memory_order_acquire);
}
