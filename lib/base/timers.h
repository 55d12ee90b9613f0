/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of one owner thread: a binary heap over caller-owned nodes; no allocation per timer once grown. */
#ifndef ROS2I_TIMERS_H
#define ROS2I_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct ros2i_timer {
    uint64_t deadline_ns;
    size_t index; /* 1-based place in the heap; 0: not armed */
    void (*fire)(struct ros2i_timer *timer);
};

struct ros2i_timers {
    struct ros2i_timer **heap;
    size_t count, capacity;
};

void ros2i_timers_init(struct ros2i_timers *timers);
void ros2i_timers_fini(struct ros2i_timers *timers); /* armed timers are forgotten, not fired */
/* Arms or re-arms. 0 or -ENOMEM (then it is not armed). fire is set by the caller before. */
int ros2i_timers_arm(struct ros2i_timers *timers, struct ros2i_timer *timer, uint64_t deadline_ns);
void ros2i_timers_disarm(struct ros2i_timers *timers, struct ros2i_timer *timer);
/* Fires all that are due at now_ns, in order of their deadlines; returns how many. fire may arm and disarm any. */
int ros2i_timers_run(struct ros2i_timers *timers, uint64_t now_ns);
/* The nearest deadline, or UINT64_MAX. */
uint64_t ros2i_timers_next(const struct ros2i_timers *timers);

#endif
