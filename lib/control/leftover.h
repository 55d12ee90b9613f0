/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of gRPC after its shutdown: threads on their last lines, and two descriptors that live as long as the
 * process. Both matter only to fork(). */
#ifndef ROS2I_LEFTOVER_H
#define ROS2I_LEFTOVER_H

#include <stdint.h>

/* Before a fork, after gRPC's shutdown: waits until its threads have gone, at most max_ns. A thread that ends may hold a
 * lock which the child would find locked for good. */
void ros2i_leftover_wait(uint64_t max_ns);

/* In a forked child, before gRPC is started there: gives it an epoll set and a wakeup descriptor of its own, under the
 * same numbers. gRPC keeps both over its shutdown; the child's are the parent's, so that each process would get the
 * other's events, with pointers that mean something else. Without /proc nothing is done. Threads: any. */
void ros2i_leftover_renew(void);

#endif
