/* SPDX-License-Identifier: Apache-2.0 */
/* Bounce memory of one data thread: chunks that file data passes through, and small buffers for replies that carry their
 * data. Owner: the data thread. Never registered, so nothing remote can write it. The most recently released buffer is
 * leased next: it is the one still in cache. */
#ifndef ROS2D_BOUNCE_H
#define ROS2D_BOUNCE_H

#include <stddef.h>
#include <stdint.h>

struct ros2d_bounce_class {
    size_t buffer_len;
    uint32_t count, free_count;
    void **free_stack;
    uint8_t *memory;
    size_t memory_len;
};

struct ros2d_bounce {
    struct ros2d_bounce_class chunk, small;
};

/* chunk_len, small_len: bytes of a buffer; chunk_memory: bytes for all chunks (at least four are made). 0 or -ENOMEM. */
int ros2d_bounce_init(struct ros2d_bounce *bounce, size_t chunk_len, size_t chunk_memory,
                      size_t small_len, uint32_t small_count);
void ros2d_bounce_fini(struct ros2d_bounce *bounce);
/* NULL: all are leased; ask again after a release. */
void *ros2d_bounce_lease(struct ros2d_bounce_class *class);
void ros2d_bounce_release(struct ros2d_bounce_class *class, void *buffer);

#endif
