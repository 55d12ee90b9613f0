/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory of a channel. Always holds: entries are in the order of their addresses, and `used` of them have users. */
#include "config.h"

#include "lib/data/registered.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/data/channel.h"

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

static size_t index_of(const struct ros2i_registered_table *table, uint64_t serial)
{
    size_t at = 0;
    while (at < table->count && table->entry[at]->serial != serial)
        at++;
    return at;
}

struct ros2i_registered *ros2i_registered_by_ticket(const struct ros2i_channel *ch, uint64_t ticket)
{
    for (size_t i = 0; i < ch->registered.count; i++)
        if (ch->registered.entry[i]->ticket == ticket)
            return ch->registered.entry[i];
    return NULL;
}

struct ros2i_registered *ros2i_registered_unasked(const struct ros2i_channel *ch)
{
    for (size_t i = 0; i < ch->registered.count; i++)
        if (!ch->registered.entry[i]->asked)
            return ch->registered.entry[i];
    return NULL;
}

/* -- ending -- */

/* Only a daemon that reads without having been asked to is in the middle of it now. */
static void deregister(struct ros2i_channel *ch, struct ros2i_registered *entry)
{
    assert(entry->users == 0);
    int rc = ch->ops->region_deregister(entry->region);
    if (rc < 0 && ch->ep) {
        ros2i_channel_lost(ch,
                           ros2i_fail(EBUSY, "the connection was broken to take registered memory "
                                             "back that the daemon was reading"));
        rc = ch->ops->region_deregister(entry->region);
    }
    assert(rc == 0);
    (void)rc;
}

uint64_t ros2i_registered_remove(struct ros2i_channel *ch, uint64_t serial)
{
    struct ros2i_registered_table *table = &ch->registered;
    size_t at = index_of(table, serial);
    if (at == table->count)
        return 0;
    struct ros2i_registered *entry = table->entry[at];
    uint64_t id = entry->id;
    deregister(ch, entry);
    free(entry);
    table->count--;
    memmove(&table->entry[at], &table->entry[at + 1],
            (table->count - at) * sizeof(table->entry[0]));
    return id;
}

void ros2i_registered_fini(struct ros2i_channel *ch)
{
    struct ros2i_registered_table *table = &ch->registered;
    for (size_t i = 0; i < table->count; i++) {
        ch->ops->region_deregister(
            table->entry[i]->region); /* no endpoint is left to keep it busy */
        free(table->entry[i]);
    }
    free(table->entry);
    *table = (struct ros2i_registered_table){.entry = NULL};
}

/* -- using -- */

struct ros2i_registered *ros2i_registered_take(struct ros2i_channel *ch, const void *addr,
                                               size_t len, unsigned right)
{
    struct ros2i_registered_table *table = &ch->registered;
    if (table->count == 0)
        return NULL;
    const char *from = addr;
    size_t at = position(table, from);
    struct ros2i_registered *entry = at > 0 ? table->entry[at - 1] : NULL;
    if (!entry || entry->id == 0 || !(entry->rights & right) ||
        (size_t)(from - entry->addr) > entry->len ||
        len > entry->len - (size_t)(from - entry->addr))
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
