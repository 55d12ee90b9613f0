/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory of a channel. Always holds: entries are in the order of their addresses, `used` of
 * them have users, and one with users has a region and an id. */
#include "config.h"

#include "lib/data/registered.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/channel.h"

#define ASK_NS (100 * ROS2I_NS_PER_MS)

/* How many begin at addr or below. */
static size_t position(const struct ros2i_registered_table *table, const char *addr)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->entry[middle]->addr <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int make_room(struct ros2i_registered_table *table)
{
    if (table->count < table->capacity)
        return 0;
    size_t capacity = table->capacity ? 2 * table->capacity : 8;
    struct ros2i_registered **grown =
        realloc(table->entry, capacity * sizeof(struct ros2i_registered *));
    if (!grown)
        return ros2i_fail(ENOMEM, "register memory: out of memory");
    table->entry = grown;
    table->capacity = capacity;
    return 0;
}

int ros2i_registered_add(struct ros2i_channel *ch, uint64_t serial, void *addr, size_t len,
                         unsigned rights)
{
    struct ros2i_registered_table *table = &ch->registered;
    /* Else what the daemon has begun to put there may land after the memory was taken back: such memory is bounced, and the
     * pool goes after the connection. */
    if (serial != ROS2I_REGISTERED_POOL &&
        !(ch->ops->flags & (ROS2_TRANSPORT_TOKENS | ROS2_TRANSPORT_REVOKES)))
        return 0;
    int rc = make_room(table);
    if (rc < 0)
        return rc;
    struct ros2i_registered *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return ros2i_fail(ENOMEM, "register memory: out of memory");
    *entry =
        (struct ros2i_registered){.serial = serial, .addr = addr, .len = len, .rights = rights};
    rc = ch->ops->region_register(ch->domain, addr, len, rights, ROS2_MEMORY_HOST, &entry->region);
    if (rc < 0) {
        free(entry);
        return rc;
    }
    size_t at = position(table, addr);
    memmove(&table->entry[at + 1], &table->entry[at],
            (table->count - at) * sizeof(table->entry[0]));
    table->entry[at] = entry;
    table->count++;
    return 0;
}

struct ros2i_registered *ros2i_registered_of(const struct ros2i_channel *ch, uint64_t serial)
{
    for (size_t i = 0; i < ch->registered.count; i++)
        if (ch->registered.entry[i]->serial == serial)
            return ch->registered.entry[i];
    return NULL;
}

struct ros2i_registered *ros2i_registered_by_ticket(const struct ros2i_channel *ch, uint64_t ticket)
{
    for (size_t i = 0; i < ch->registered.count; i++)
        if (ch->registered.entry[i]->ticket == ticket)
            return ch->registered.entry[i];
    return NULL;
}

struct ros2i_registered *ros2i_registered_unasked(const struct ros2i_channel *ch, uint64_t serial)
{
    struct ros2i_registered *entry = ros2i_registered_of(ch, serial);
    return entry && entry->region && !entry->asked ? entry : NULL;
}

int ros2i_registered_make_pool(struct ros2i_channel *ch)
{
    int rc = ros2i_bounce_make(&ch->inflight.bounce, NULL);
    if (rc == 0)
        rc = ros2i_registered_add(ch, ROS2I_REGISTERED_POOL, ch->inflight.bounce.base,
                                  ROS2I_BOUNCE_MAX,
                                  ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE);
    if (rc == 0)
        ch->pool = ros2i_registered_of(ch, ROS2I_REGISTERED_POOL);
    else
        ros2i_registered_fini(ch); /* of the table's memory */
    return rc;
}

/* -- ending -- */

/* Without a connection nothing of it is busy. */
static void deregister(struct ros2i_channel *ch, struct ros2i_registered *entry)
{
    if (!entry->region)
        return;
    int rc = entry->users > 0 ? -EBUSY : ch->ops->region_deregister(entry->region);
    if (rc < 0) {
        ros2i_channel_lost(
            ch, ros2i_fail(EBUSY, "the connection was broken to take registered memory back"));
        assert(entry->users == 0);
        rc = ch->ops->region_deregister(entry->region);
    }
    assert(rc == 0);
    (void)rc;
}

void ros2i_registered_remove(struct ros2i_channel *ch, struct ros2i_registered *entry)
{
    struct ros2i_registered_table *table = &ch->registered;
    size_t at = 0;
    entry->named = false; /* to replays, too */
    deregister(ch, entry);
    while (table->entry[at] != entry)
        at++;
    free(entry);
    table->count--;
    memmove(&table->entry[at], &table->entry[at + 1],
            (table->count - at) * sizeof(table->entry[0]));
}

void ros2i_registered_fini(struct ros2i_channel *ch)
{
    struct ros2i_registered_table *table = &ch->registered;
    for (size_t i = 0; i < table->count; i++) {
        if (table->entry[i]->region)
            ch->ops->region_deregister(table->entry[i]->region);
        free(table->entry[i]);
    }
    free(table->entry);
    *table = (struct ros2i_registered_table){.entry = NULL};
}

/* -- using -- */

/* One in which addr lies, or ends, and that may be named. */
static struct ros2i_registered *holder(const struct ros2i_registered_table *table, const char *addr,
                                       unsigned right)
{
    size_t at = position(table, addr);
    struct ros2i_registered *entry = at > 0 ? table->entry[at - 1] : NULL;
    bool fits = entry && entry->named && (entry->rights & right) &&
                (size_t)(addr - entry->addr) <= entry->len;
    return fits ? entry : NULL;
}

size_t ros2i_registered_run(const struct ros2i_channel *ch, const void *addr, size_t len,
                            unsigned right)
{
    const struct ros2i_registered *entry = holder(&ch->registered, addr, right);
    size_t most = entry ? entry->len - (size_t)((const char *)addr - entry->addr) : 0;
    return most < len ? most : len;
}

const struct ros2i_registered *ros2i_registered_pool(struct ros2i_channel *ch)
{
    struct ros2i_registered_table *table = &ch->registered;
    if (ch->pool->named)
        return ch->pool;
    /* Only as often, and only if somebody waits for it: a tenant may be at its limit for long. */
    if (ch->pool->refused && ch->now_ns >= table->ask_ns) {
        ch->pool->refused = ch->pool->asked = false;
        table->ask_ns = ch->now_ns + ASK_NS;
        table->untold = true;
    }
    return NULL;
}

struct ros2i_registered *ros2i_registered_take(struct ros2i_channel *ch, const void *addr,
                                               size_t len, unsigned right)
{
    struct ros2i_registered_table *table = &ch->registered;
    if (table->count == 0)
        return NULL;
    struct ros2i_registered *entry = holder(table, addr, right);
    if (!entry || len > entry->len - (size_t)((const char *)addr - entry->addr))
        return NULL;
    if (entry->users == 0 && table->used == ROS2I_REGISTERED_AT_ONCE)
        return NULL;
    table->used += entry->users++ == 0;
    return entry;
}

void ros2i_registered_give(struct ros2i_channel *ch, struct ros2i_registered **entry_p)
{
    struct ros2i_registered *entry = *entry_p;
    if (!entry)
        return;
    *entry_p = NULL;
    assert(entry->users > 0);
    ch->registered.used -= --entry->users == 0;
}

int ros2i_registered_renew(struct ros2i_channel *ch, struct ros2i_registered *entry)
{
    if (!(ch->ops->flags & ROS2_TRANSPORT_REVOKES))
        return -EBUSY;
    int rc = ch->ops->region_deregister(entry->region);
    if (rc < 0)
        return rc;
    entry->old_id = entry->id;
    entry->id = 0;
    entry->named = entry->asked = false;
    ch->registered.untold = true;
    if (ch->ops->region_register(ch->domain, entry->addr, entry->len, entry->rights,
                                 ROS2_MEMORY_HOST, &entry->region) < 0)
        entry->region = NULL; /* its memory is named as if it were not registered */
    return 0;
}
