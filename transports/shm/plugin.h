/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's one exported symbol. */
#ifndef SHM_PLUGIN_H
#define SHM_PLUGIN_H

#include "ros2/transport.h"

ros2_transport_plugin_fn ros2_transport_plugin;

#endif
