/* SPDX-License-Identifier: Apache-2.0 */
/* Loads transports and engines: dlopen(RTLD_LOCAL | RTLD_NODELETE), checks the ABI, leaves the process's signal
 * dispositions as they were. */
#ifndef ROS2I_PLUGIN_H
#define ROS2I_PLUGIN_H

#include "ros2/engine.h"
#include "ros2/transport.h"

/* The host services every plugin gets from this program. */
extern const struct ros2_host ros2i_host;

/* name: "tcp", letters, digits and '_' only. Looked for as ros2_transport_NAME.so / ros2_engine_NAME.so in each folder
 * of ROS2_PLUGIN_PATH (ignored in set-uid programs), then in the install folder. Threads: any. May block (disk).
 * 0, or -ENOENT (names the file, the folders and the Debian way out), -EINVAL (name), -ELIBACC (does not load: dlerror's
 * text), -EPROTONOSUPPORT (ABI). Loaded plugins stay for the life of the process. */
int ros2i_plugin_transport(const char *name, const struct ros2_transport_ops **ops_p);
int ros2i_plugin_engine(const char *name, const struct ros2_engine_ops **ops_p);

#endif
