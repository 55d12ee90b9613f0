/* SPDX-License-Identifier: Apache-2.0 */
/* All clients of the process: fork() and ending threads have to find them. Order of locks: the registry's, then a client's.
 * Neither is ever held over a blocking call. */
#ifndef ROS2I_REGISTRY_H
#define ROS2I_REGISTRY_H

#include "lib/core/client.h"

void ros2i_registry_lock(void);
void ros2i_registry_unlock(void);
/* Takes the lock itself; gives the client its serial. */
void ros2i_registry_add(struct ros2_client *client);

/* With the lock held: */
struct ros2_client *ros2i_registry_first(void);
struct ros2_client *ros2i_registry_find(uint64_t serial); /* NULL: it is gone */
void ros2i_registry_remove(struct ros2_client *client);

#endif
