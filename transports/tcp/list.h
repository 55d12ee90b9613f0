/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists: an element leaves in O(1) whichever list it is in, so that a callback may end any
 * endpoint while a list is being walked from its front. */
#ifndef TCP_LIST_H
#define TCP_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct tcp_list {
    struct tcp_list *prev, *next;
};

#define TCP_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void tcp_list_init(struct tcp_list *list)
{
    list->prev = list->next = list;
}

static inline bool tcp_list_empty(const struct tcp_list *list)
{
    return list->next == list;
}

static inline void tcp_list_append(struct tcp_list *list, struct tcp_list *item)
{
    item->prev = list->prev;
    item->next = list;
    list->prev->next = item;
    list->prev = item;
}

/* Also fine on an item that is in no list (initialised, or removed before). */
static inline void tcp_list_remove(struct tcp_list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    tcp_list_init(item);
}

/* Moves all of from into to, which must be empty. */
static inline void tcp_list_take(struct tcp_list *to, struct tcp_list *from)
{
    tcp_list_init(to);
    if (tcp_list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    tcp_list_init(from);
}

#endif
