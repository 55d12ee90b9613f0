/* SPDX-License-Identifier: Apache-2.0 */
/* An io_uring of one context; its owner's thread only. Without liburing every call that could make one says -ENOSYS. */
#ifndef ROS2I_POSIX_RING_H
#define ROS2I_POSIX_RING_H

#include <stdbool.h>

#ifdef HAVE_LIBURING
#define ROS2I_RING_REFUSED "the kernel refuses io_uring"
#else
#define ROS2I_RING_REFUSED "built without liburing"
#endif

struct ros2i_op;
struct ros2i_ring;

/* Whether the kernel gives us a ring with all that we use. 0, or -ENOSYS, -EPERM, -ENOMEM ...; makes and closes one. */
int ros2i_ring_probe(void);
/* Room for depth operations at once. */
int ros2i_ring_open(unsigned depth, struct ros2i_ring **ring_p);
void ros2i_ring_close(struct ros2i_ring *ring);
/* Readable while there are completions. */
int ros2i_ring_fd(const struct ros2i_ring *ring);
/* Queues what is left of op; the kernel sees it at the next submit. false: no room (never with depth kept). */
bool ros2i_ring_queue(struct ros2i_ring *ring, struct ros2i_op *op);
/* One system call for all that is queued, none when nothing is. */
void ros2i_ring_submit(struct ros2i_ring *ring);
/* The kernel would not take all at the last submit: there has to be another, and no completion may come to ask for it. */
bool ros2i_ring_is_behind(const struct ros2i_ring *ring);
/* The next completion, or false. result: of this step of the op, bytes or -errno. */
bool ros2i_ring_next(struct ros2i_ring *ring, struct ros2i_op **op_p, int *result_p);

#endif
