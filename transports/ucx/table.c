/* SPDX-License-Identifier: Apache-2.0 */
/* The low half of a number is its slot. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/table.h"

#include <errno.h>
#include <stdlib.h>

void ucx_table_fini(struct ucx_table *table)
{
    free(table->slot);
}

static int grow(struct ucx_table *table, const struct ros2_host *host)
{
    const uint32_t count = table->count ? 2 * table->count : 64;
    struct ucx_slot *slot =
        table->count < UINT32_MAX / 4 ? realloc(table->slot, count * sizeof *slot) : NULL;

    if (!slot)
        return host->fail(ENOMEM, "transport ucx: out of memory");
    for (uint32_t i = table->count; i < count; i++)
        slot[i] = (struct ucx_slot){.next_free = i + 1 < count ? i + 2 : 0};
    table->free = table->count + 1;
    table->slot = slot;
    table->count = count;
    return 0;
}

int ucx_table_add(struct ucx_table *table, const struct ros2_host *host, enum ucx_kind kind,
                  void *object, uint64_t *id_p)
{
    uint32_t bits;
    int rc = host->random(&bits, sizeof bits);

    if (rc == 0 && table->free == 0)
        rc = grow(table, host);
    if (rc < 0)
        return rc;
    const uint32_t at = table->free - 1;
    struct ucx_slot *slot = &table->slot[at];
    table->free = slot->next_free;
    /* The top bit is set, so that no number is 0. */
    *slot = (struct ucx_slot){
        .id = (uint64_t)(bits | 0x80000000u) << 32 | at, .object = object, .kind = kind};
    *id_p = slot->id;
    return 0;
}

void *ucx_table_find(const struct ucx_table *table, enum ucx_kind kind, uint64_t id)
{
    const uint32_t at = (uint32_t)id;

    if (at >= table->count || id == 0 || table->slot[at].id != id || table->slot[at].kind != kind)
        return NULL;
    return table->slot[at].object;
}

void ucx_table_remove(struct ucx_table *table, uint64_t id)
{
    const uint32_t at = (uint32_t)id;

    if (at >= table->count || table->slot[at].id != id)
        return;
    table->slot[at] = (struct ucx_slot){.next_free = table->free};
    table->free = at + 1;
}
