/* SPDX-License-Identifier: Apache-2.0 */
/* A lane: one transport in one data thread, with a domain and a listener of its own. Owner: the thread. What was made in a
 * domain stays in it, so everything that a connection has is called through its lane. */
#ifndef ROS2D_LANE_H
#define ROS2D_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"
#include "lib/protocol/session.h"
#include "ros2/transport.h"

struct ros2d_thread;

struct ros2d_lane {
    /* Fixed before the thread starts. */
    const struct ros2_transport_ops *ops;
    struct ros2d_thread *thread;
    struct ros2i_endpoint listen; /* where it is to listen */
    /* Read by the starter after it waited for the thread. */
    char address[sizeof(((struct ros2i_endpoint *)0)->address)]; /* as bound */

    /* The thread's own. */
    struct ros2_domain *domain;
    struct ros2_listener *listener; /* NULL once draining */
    struct ros2_region *local[2]; /* the thread's bounce memory, where the transport asks for it */
    int fd;                       /* to sleep on; negative: has to be polled */
    uint32_t connections;         /* that are not ENDED */
};

/* Makes domain and listener. 0, or < 0 with a text. */
int ros2d_lane_open(struct ros2d_lane *lane);
/* Closes what open() got to. No mapping of it is left. */
void ros2d_lane_close(struct ros2d_lane *lane);
void ros2d_lane_stop_listening(struct ros2d_lane *lane);

/* Progress of all lanes of a thread, in their order. Returns the number of events. */
int ros2d_lanes_progress(struct ros2d_thread *thread);
/* True: the thread may sleep on their descriptors. */
bool ros2d_lanes_arm(struct ros2d_thread *thread);
/* Closed endpoints that still see to it that their peers get what was sent last. */
unsigned ros2d_lanes_lingering(struct ros2d_thread *thread);

#endif
