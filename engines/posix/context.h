/* SPDX-License-Identifier: Apache-2.0 */
/* What one data thread has in flight. Owner: that thread, but for the finished list. */
#ifndef ROS2I_POSIX_CONTEXT_H
#define ROS2I_POSIX_CONTEXT_H

#include "engines/posix/file.h"
#include "engines/posix/pool.h"
#include "engines/posix/ring.h"

struct ros2_io_context {
    struct ros2_engine *engine;
    unsigned depth, in_flight;
    struct ros2i_ring *ring; /* NULL: the pool carries all */
    struct ros2i_finished finished;
    int fd; /* to sleep on: finished.fd, or an epoll over that and the ring */
};

/* Carries op out elsewhere; room was checked. */
void ros2i_context_start(struct ros2_io_context *context, struct ros2i_op *op);

/* The calls of struct ros2_engine_ops. */
int ros2i_context_open(struct ros2_engine *engine, unsigned depth,
                       struct ros2_io_context **context_p);
void ros2i_context_close(struct ros2_io_context *context);
int ros2i_context_poll(struct ros2_io_context *context);
int ros2i_context_fd(struct ros2_io_context *context);

#endif
