/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's half of a public queue: runs tasks on the data plane, and gives control tasks to the worker. Those that have
 * ended are in queue->done. One thread, the driver; nothing here blocks but pause. */
#ifndef ROS2I_DRIVE_H
#define ROS2I_DRIVE_H

#include "lib/core/async.h"

/* Begins with all tasks of list. */
void ros2i_drive_start(struct ros2_queue *queue, struct ros2i_task_list *list);
/* Runs what is due. Returns the time it did so at. */
uint64_t ros2i_drive_poll(struct ros2_queue *queue, struct ros2i_wait *wait);
/* Until there may be something to poll for, or until_ns. */
void ros2i_drive_pause(struct ros2_queue *queue, struct ros2i_wait *wait, uint64_t now_ns,
                       uint64_t until_ns);
/* task may have ended already. */
void ros2i_drive_cancel(struct ros2_queue *queue, struct ros2i_task *task);
/* Ends everything; nothing touches the buffers of any task afterwards. */
void ros2i_drive_end(struct ros2_queue *queue);

#endif
