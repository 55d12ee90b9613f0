/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's one exported symbol. */
#ifndef OFI_PLUGIN_H
#define OFI_PLUGIN_H

#include "ros2/transport.h"

ros2_transport_plugin_fn ros2_transport_plugin;

#endif
