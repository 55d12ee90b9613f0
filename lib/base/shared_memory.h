/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a peer on this machine can map: memfds, sealed against shrinking and growing, mapped here with MADV_DONTFORK.
 *
 * One table per process, under a mutex that only allocating, freeing and replacing take: whoever looks addresses up on a hot
 * path has a copy of the table of its own, renewed when the table's revision has moved. */
#ifndef ROS2I_SHARED_MEMORY_H
#define ROS2I_SHARED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "ros2/transport.h"

enum ros2i_shared_memory_flag {
    ROS2I_SHARED_HUGE = 1 << 0, /* huge pages where the system has them to give; else small ones */
};

/* len is rounded up to whole pages. numa_node: -1: none preferred. Zeroed, page-aligned, not inherited over fork().
 * -EINVAL (len 0 or above SSIZE_MAX, node), -ENOMEM, -EMFILE. */
int ros2i_shared_alloc(size_t len, unsigned flags, int numa_node, void **addr_p);
/* addr as from alloc, len as given there. Its pages are given back to the system even while a peer still has them mapped. */
void ros2i_shared_free(void *addr, size_t len);

struct ros2i_shared_view; /* a copy of the table. Owner: one thread */

/* -ENOMEM. */
int ros2i_shared_view_create(struct ros2i_shared_view **view_p);
void ros2i_shared_view_destroy(struct ros2i_shared_view *view); /* NULL is fine */
/* For struct ros2_domain_options; lives as long as the view. */
const struct ros2_shared_memory *ros2i_shared_view_memory(struct ros2i_shared_view *view);
/* How many bytes from addr on, at most len, are shared memory of one file; 0: addr is not shared. */
size_t ros2i_shared_view_run(struct ros2i_shared_view *view, const void *addr, size_t len);

/* In pthread_atfork: prepare and parent hold and release the table; the child forgets all of it, since MADV_DONTFORK has
 * unmapped it, and closes the files. */
void ros2i_shared_fork_prepare(void);
void ros2i_shared_fork_parent(void);
void ros2i_shared_fork_child(void);

#endif
