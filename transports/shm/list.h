/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists: an element leaves in O(1) whichever list it is in, so that a callback may end any
 * endpoint while a list is being walked from its front. */
#ifndef SHM_LIST_H
#define SHM_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct shm_list {
    struct shm_list *prev, *next;
};

#define SHM_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void shm_list_init(struct shm_list *list)
{
    list->prev = list->next = list;
}

static inline bool shm_list_empty(const struct shm_list *list)
{
    return list->next == list;
}

static inline void shm_list_append(struct shm_list *list, struct shm_list *item)
{
    item->prev = list->prev;
    item->next = list;
    list->prev->next = item;
    list->prev = item;
}

/* Also fine on an item that is in no list (initialised, or removed before). */
static inline void shm_list_remove(struct shm_list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    shm_list_init(item);
}

/* Moves all of from into to, which must be empty. */
static inline void shm_list_take(struct shm_list *to, struct shm_list *from)
{
    shm_list_init(to);
    if (shm_list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    shm_list_init(from);
}

#endif
