/* SPDX-License-Identifier: Apache-2.0 */
/* Loads transports and engines: dlopen(RTLD_LOCAL | RTLD_NODELETE), checks the ABI, leaves the process's signal
 * dispositions as they were. */
#ifndef ROS2I_PLUGIN_H
#define ROS2I_PLUGIN_H

#include <stdbool.h>

#include "ros2/engine.h"
#include "ros2/transport.h"

/* The host services every plugin gets from this program. */
extern const struct ros2_host ros2i_host;

/* name: "tcp", letters, digits and '_' only; of a transport also "PLUGIN+VARIANT" ("ofi+tcp"), the variant with ';', '-' and
 * '.' too. Looked for as ros2_transport_PLUGIN.so / ros2_engine_NAME.so in each folder
 * of ROS2_PLUGIN_PATH (ignored in set-uid programs), then in the install folder. Threads: any. May block (disk).
 * 0, or -ENOENT (names the file, the folders and the Debian way out), -EINVAL (name), -ELIBACC (does not load: dlerror's
 * text), -EPROTONOSUPPORT (ABI), -ENOTSUP (no such variant). Loaded plugins stay for the life of the process. */
int ros2i_plugin_transport(const char *name, const struct ros2_transport_ops **ops_p);
int ros2i_plugin_engine(const char *name, const struct ros2_engine_ops **ops_p);

/* ops->domain_open, which may wake libraries that install signal handlers: the process's dispositions are the same
 * afterwards. Threads: any; what domain_open returns. */
int ros2i_plugin_open_domain(const struct ros2_transport_ops *ops,
                             const struct ros2_domain_options *options,
                             struct ros2_domain **domain_p);
/* Whether name may be a transport's: what ros2i_plugin_transport does not refuse at sight. */
bool ros2i_plugin_is_transport_name(const char *name, size_t len);

#endif
