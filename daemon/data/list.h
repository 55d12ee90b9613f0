/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists. An item that is in no list points to itself, so removing it is always fine. */
#ifndef ROS2D_LIST_H
#define ROS2D_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct ros2d_list {
    struct ros2d_list *prev, *next;
};

#define ROS2D_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void ros2d_list_init(struct ros2d_list *list)
{
    list->prev = list->next = list;
}

static inline bool ros2d_list_empty(const struct ros2d_list *list)
{
    return list->next == list;
}

static inline void ros2d_list_append(struct ros2d_list *list, struct ros2d_list *item)
{
    item->prev = list->prev;
    item->next = list;
    list->prev->next = item;
    list->prev = item;
}

static inline void ros2d_list_remove(struct ros2d_list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    ros2d_list_init(item);
}

/* Moves all of from into to, which is overwritten. */
static inline void ros2d_list_take(struct ros2d_list *to, struct ros2d_list *from)
{
    ros2d_list_init(to);
    if (ros2d_list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    ros2d_list_init(from);
}

#endif
