/* SPDX-License-Identifier: Apache-2.0 */
/* A list of chunks, each at least CHUNK bytes; the newest is filled first. What always holds: the chunks' sizes and `left`
 * add up to at most the limit. */
#include "config.h"

#include "daemon/control/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 4096u
#define ALIGN 16u

struct ros2d_arena_chunk {
    struct ros2d_arena_chunk *older;
    size_t len, used;
    _Alignas(ALIGN) unsigned char data[];
};

static void *allocator_alloc(void *data, size_t len)
{
    return ros2d_arena_alloc(data, len);
}

static void allocator_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

void ros2d_arena_init(struct ros2d_arena *arena, size_t limit)
{
    arena->chunk = NULL;
    arena->left = limit;
    arena->allocator = (ProtobufCAllocator){
        .alloc = allocator_alloc, .free = allocator_free, .allocator_data = arena};
}

void ros2d_arena_fini(struct ros2d_arena *arena)
{
    while (arena->chunk) {
        struct ros2d_arena_chunk *older = arena->chunk->older;

        free(arena->chunk);
        arena->chunk = older;
    }
}

void ros2d_arena_reset(struct ros2d_arena *arena, size_t limit)
{
    ros2d_arena_fini(arena);
    ros2d_arena_init(arena, limit);
}

static struct ros2d_arena_chunk *grow(struct ros2d_arena *arena, size_t need)
{
    size_t len = need > CHUNK ? need : CHUNK;

    if (len > arena->left)
        len = need;
    if (len > arena->left)
        return NULL;
    struct ros2d_arena_chunk *chunk = malloc(sizeof *chunk + len);
    if (!chunk)
        return NULL;
    arena->left -= len;
    chunk->older = arena->chunk;
    chunk->len = len;
    chunk->used = 0;
    arena->chunk = chunk;
    return chunk;
}

void *ros2d_arena_alloc(struct ros2d_arena *arena, size_t len)
{
    struct ros2d_arena_chunk *chunk = arena->chunk;

    if (len > SIZE_MAX - ALIGN)
        return NULL;
    len = len ? (len + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    if (!chunk || chunk->len - chunk->used < len)
        chunk = grow(arena, len);
    if (!chunk)
        return NULL;
    void *piece = chunk->data + chunk->used;
    chunk->used += len;
    return memset(piece, 0, len);
}
