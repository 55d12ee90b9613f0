/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one call: handed out in pieces, freed as a whole, with a ceiling (a message of 4 MiB on the wire can unpack
 * to a hundred times that). One thread at a time. */
#ifndef ROS2D_ARENA_H
#define ROS2D_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct ros2d_arena {
    struct ros2d_arena_chunk *chunk; /* the newest, linked to the older ones */
    size_t left;                     /* bytes that may still be taken */
    ProtobufCAllocator allocator;    /* for protobuf_c_message_unpack(); its free does nothing */
};

void ros2d_arena_init(struct ros2d_arena *arena, size_t limit);
void ros2d_arena_fini(struct ros2d_arena *arena);
/* Zeroed, aligned for any type; NULL: the ceiling, or no memory. */
void *ros2d_arena_alloc(struct ros2d_arena *arena, size_t len);
/* Frees all, the ceiling is len again. */
void ros2d_arena_reset(struct ros2d_arena *arena, size_t limit);

#endif
