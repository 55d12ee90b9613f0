/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for what a peer may name: 64 bits, half of them random, so that a number of something that is gone, or a guessed
 * one, finds nothing. */
#ifndef UCX_TABLE_H
#define UCX_TABLE_H

#include <stdint.h>

#include "ros2/plugin.h"

enum ucx_kind { UCX_ENDPOINT = 1, UCX_REGION, UCX_GET, UCX_LISTENER };

struct ucx_slot {
    uint64_t id;  /* 0: free */
    void *object; /* or, of a free slot, nothing */
    uint32_t next_free;
    enum ucx_kind kind;
};

/* owner: the domain's thread. */
struct ucx_table {
    struct ucx_slot *slot;
    uint32_t count;
    uint32_t free; /* the first free slot + 1; 0: none */
};

void ucx_table_fini(struct ucx_table *table);
/* Never 0. 0, or -ENOMEM, -EIO (with a text). */
int ucx_table_add(struct ucx_table *table, const struct ros2_host *host, enum ucx_kind kind,
                  void *object, uint64_t *id_p);
/* NULL: none of that kind has that number. */
void *ucx_table_find(const struct ucx_table *table, enum ucx_kind kind, uint64_t id);
void ucx_table_remove(struct ucx_table *table, uint64_t id);

#endif
