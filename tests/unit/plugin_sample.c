/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin that plugin_test.c loads, in variants: SAMPLE_ABI and SAMPLE_SIZE say what it claims to be, SAMPLE_ENGINE
 * makes it an engine, SAMPLE_HOLLOW leaves out the entry. It takes over signals, as UCX and libfabric do. */
#include "config.h"

#include <signal.h>

#include "ros2/engine.h"
#include "ros2/transport.h"

#ifndef SAMPLE_ABI
#define SAMPLE_ABI ROS2_TRANSPORT_ABI
#endif
#ifndef SAMPLE_SIZE
#define SAMPLE_SIZE sizeof(struct ros2_transport_ops)
#endif

static void take(int sig)
{
    (void)sig;
}

static void take_signal(int sig)
{
    struct sigaction action = {.sa_handler = take, .sa_flags = SA_RESTART};

    sigfillset(&action.sa_mask);
    sigaction(sig, &action, NULL);
}

__attribute__((constructor)) static void take_signals_at_load(void)
{
    for (int sig = 1; sig <= 64; sig++)
        take_signal(sig); /* where the kernel or libc refuses it stays */
}

#if defined SAMPLE_ENGINE

static const struct ros2_engine_ops ops = {
    .abi = ROS2_ENGINE_ABI,
    .size = sizeof(struct ros2_engine_ops),
    .name = "sample",
};

const struct ros2_engine_ops *ros2_engine_plugin(void);
const struct ros2_engine_ops *ros2_engine_plugin(void)
{
    return &ops;
}

#elif defined SAMPLE_HOLLOW

int ros2_transport_hollow(void);
int ros2_transport_hollow(void)
{
    return 0;
}

#else

static const struct ros2_transport_ops ops = {
    .abi = SAMPLE_ABI,
    .size = SAMPLE_SIZE,
    .name = "sample",
};

const struct ros2_transport_ops *ros2_transport_plugin(void);
const struct ros2_transport_ops *ros2_transport_plugin(void)
{
    take_signal(SIGINT); /* and again in the entry */
    return &ops;
}

#endif
