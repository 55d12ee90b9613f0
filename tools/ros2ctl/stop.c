/* SPDX-License-Identifier: Apache-2.0 */
/* The user's Ctrl-C. The handler only notes the signal: files half written are removed by whoever made them. */
#include "config.h"

#include "tools/ros2ctl/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

/* Signals this close are one: timeout(1) sends each to the program and then to its group. */
#define SAME_S 1

static _Atomic int caught; /* lock-free, so a handler may set it */
static _Atomic long caught_at_s;

static void on_signal(int signal_number)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now); /* async-signal-safe, as all here */
    if (atomic_load(&caught) == 0) {
        atomic_store(&caught_at_s, (long)now.tv_sec);
        atomic_store(&caught, signal_number);
    } else if (now.tv_sec > atomic_load(&caught_at_s) + SAME_S) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
}

void ctl_stop_catch(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction old;
        /* nohup(1) has it ignored: leave it so. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
            continue;
        sigaction(signals[i], &action, NULL);
    }
}

bool ctl_stop_asked(void)
{
    return atomic_load(&caught) != 0;
}

void ctl_stop_die(void)
{
    int signal_number = atomic_load(&caught);

    if (signal_number != 0) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
}
