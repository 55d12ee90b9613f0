/* SPDX-License-Identifier: Apache-2.0 */
/* Two classes of equal buffers, each one mapping and a stack of what is free. Owner: the data thread. */
#include "config.h"

#include "daemon/data/bounce.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/error.h"

#define CHUNKS_MIN 4

static int class_init(struct ros2d_bounce_class *class, size_t buffer_len, uint32_t count)
{
    class->buffer_len = buffer_len;
    class->count = class->free_count = count;
    class->memory_len = buffer_len * count;
    class->free_stack = calloc(count, sizeof(*class->free_stack));
    if (!class->free_stack)
        return ros2i_fail(ENOMEM, "bounce memory: no memory for its table");
    class->memory =
        mmap(NULL, class->memory_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (class->memory == MAP_FAILED) {
        free(class->free_stack);
        class->free_stack = NULL;
        return ros2i_fail(ENOMEM, "bounce memory: no %zu bytes; lower data.bounce_memory",
                          class->memory_len);
    }
    for (uint32_t i = 0; i < count; i++)
        class->free_stack[i] =
            class->memory + buffer_len * (count - 1 - i); /* the lowest is leased first */
    return 0;
}

static void class_fini(struct ros2d_bounce_class *class)
{
    if (!class->free_stack)
        return;
    assert(class->free_count == class->count);
    munmap(class->memory, class->memory_len);
    free(class->free_stack);
    class->free_stack = NULL;
}

int ros2d_bounce_init(struct ros2d_bounce *bounce, size_t chunk_len, size_t chunk_memory,
                      size_t small_len, uint32_t small_count)
{
    size_t count = chunk_memory / chunk_len;
    int rc =
        class_init(&bounce->chunk, chunk_len, (uint32_t)(count < CHUNKS_MIN ? CHUNKS_MIN : count));

    if (rc < 0)
        return rc;
    rc = class_init(&bounce->small, (small_len + 63) & ~(size_t)63, small_count);
    if (rc < 0)
        class_fini(&bounce->chunk);
    return rc;
}

void ros2d_bounce_fini(struct ros2d_bounce *bounce)
{
    class_fini(&bounce->chunk);
    class_fini(&bounce->small);
}

void *ros2d_bounce_lease(struct ros2d_bounce_class *class)
{
    return class->free_count > 0 ? class->free_stack[--class->free_count] : NULL;
}

void ros2d_bounce_release(struct ros2d_bounce_class *class, void *buffer)
{
    assert(class->free_count < class->count);
    class->free_stack[class->free_count++] = buffer;
}
