/* SPDX-License-Identifier: Apache-2.0 */
/* How long a wait polls before it sleeps: as the last waits have taught. Pure; owner: whose waits they are. */
#ifndef ROS2I_SPIN_H
#define ROS2I_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct ros2i_spin {
    uint32_t now_ns; /* what the next wait may poll for */
    uint32_t most_ns;
    uint32_t slept;       /* waits that slept, since the last trial */
    uint32_t trial_after; /* so many */
    uint32_t trial;       /* waits left of the trial; 0: none is on */
    uint32_t missed;      /* waits in a row that slept */
};

/* most_ns: longer than an answer takes where polling for it pays. */
void ros2i_spin_init(struct ros2i_spin *spin, uint32_t most_ns);
/* A wait has ended well; polled_ns: the longest that it polled for something; slept: that was not enough. */
void ros2i_spin_learn(struct ros2i_spin *spin, uint64_t polled_ns, bool slept);

#endif
