/* SPDX-License-Identifier: Apache-2.0 */
/* The queue that each thread has for each client, made by its first synchronous call and closed when the thread ends. */
#ifndef ROS2I_IMPLICIT_H
#define ROS2I_IMPLICIT_H

#include "lib/core/queue.h"

/* The calling thread's queue. 0, -ENOMEM, -EMFILE, -EAGAIN (no thread keys left). */
int ros2i_implicit_queue(struct ros2_client *client, struct ros2i_queue **queue_p);
/* Submits op on it and waits. deadline_ns and buffers of op are set. Returns op->result; the error text is set. */
int64_t ros2i_implicit_run(struct ros2_client *client, struct ros2i_op *op);
/* In a forked child: the thread's queues are gone. */
void ros2i_implicit_forget(void);

#endif
