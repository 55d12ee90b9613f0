/* SPDX-License-Identifier: Apache-2.0 */
/* fork(): the child may go on with every client, file and synchronous call; the parent notices nothing.
 *
 * The gate: while fork() copies the process, no queue of any thread is inside transport code, so the child finds every
 * structure whole. A queue is busy between enter and leave; fork() closes the gate, then waits until none is busy. Both
 * sides first write, then read (sequentially consistent), so one of the two sees the other. An entered thread never
 * blocks, so fork() waits microseconds. */
#ifndef ROS2I_FORK_H
#define ROS2I_FORK_H

#include <stdatomic.h>
#include <stdbool.h>

extern _Atomic bool ros2i_fork_gate;

/* Installs the handlers once. 0 or -ENOMEM. */
int ros2i_fork_install(void);
/* The slow half of enter: waits until the gate is open and busy is set. */
void ros2i_fork_wait(_Atomic bool *busy);

/* Holds all queues of all clients outside their channels, until go_on: the caller may look into them, and end operations in
 * them. Takes the registry's and every client's lock. Blocks for microseconds. */
void ros2i_fork_stop(void);
void ros2i_fork_go_on(void);

static inline void ros2i_fork_enter(_Atomic bool *busy)
{
    atomic_store(busy, true);
    if (__builtin_expect(atomic_load(&ros2i_fork_gate), 0))
        ros2i_fork_wait(busy);
}

static inline void ros2i_fork_leave(_Atomic bool *busy)
{
    atomic_store_explicit(busy, false, memory_order_release);
}

#endif
