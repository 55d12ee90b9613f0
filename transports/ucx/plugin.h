/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's one exported symbol, and that of the module behind it. */
#ifndef UCX_PLUGIN_H
#define UCX_PLUGIN_H

#include "ros2/transport.h"

#define UCX_MODULE  "ros2_ucx.so"
#define UCX_VARIANT "ros2_ucx_variant"

ros2_transport_plugin_fn ros2_transport_plugin;

/* The transport "ucx+NAME", a constant, or NULL. */
const struct ros2_transport_ops *ros2_ucx_variant(const char *name);

#endif
