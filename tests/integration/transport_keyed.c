/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for transports with keys and without tokens, as those over RDMA are: transport tcp, under another name and
 * without that flag. A program that asks for a token all the same finds none. */
#include "config.h"

#define ros2_transport_plugin tcp_plugin
#include "transports/tcp/plugin.c"
#undef ros2_transport_plugin

ros2_transport_plugin_fn ros2_transport_plugin;

static struct ros2_transport_ops keyed;

const struct ros2_transport_ops *ros2_transport_plugin(void)
{
    keyed = *tcp_plugin(); /* the loader calls this once, under its lock */
    keyed.name = "keyed";
    keyed.flags &= ~(uint32_t)ROS2_TRANSPORT_TOKENS;
    keyed.region_token = NULL;
    return &keyed;
}
