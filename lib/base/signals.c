/* SPDX-License-Identifier: Apache-2.0 */
/* Signal dispositions are the process's, so whoever saves and restores them holds one mutex meanwhile: two threads that load
 * plugins at a time must not take one another's handlers for the application's. */
#include "config.h"

#include "lib/base/signals.h"

#include <stdbool.h>
#include <string.h>

void ros2i_signals_save(struct sigaction saved[ROS2I_SIGNALS + 1])
{
    memset(saved, 0, (ROS2I_SIGNALS + 1) * sizeof *saved);
    for (int sig = 1; sig <= ROS2I_SIGNALS; sig++)
        sigaction(sig, NULL,
                  &saved[sig]); /* the C library keeps two for itself and refuses them: stay zero */
}

/* By signal: the C library leaves whatever it likes in the rest of a sigset_t. */
static bool same_mask(const sigset_t *a, const sigset_t *b)
{
    for (int sig = 1; sig <= ROS2I_SIGNALS; sig++) {
        if (sigismember(a, sig) != sigismember(b, sig))
            return false;
    }
    return true;
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
    if (a->sa_flags != b->sa_flags || !same_mask(&a->sa_mask, &b->sa_mask))
        return false;
    return a->sa_flags & SA_SIGINFO ? a->sa_sigaction == b->sa_sigaction
                                    : a->sa_handler == b->sa_handler;
}

void ros2i_signals_restore(const struct sigaction saved[ROS2I_SIGNALS + 1])
{
    struct sigaction now[ROS2I_SIGNALS + 1];

    ros2i_signals_save(now);
    for (int sig = 1; sig <= ROS2I_SIGNALS; sig++) {
        if (!same_action(&saved[sig], &now[sig]))
            sigaction(sig, &saved[sig], NULL);
    }
}
