/* SPDX-License-Identifier: Apache-2.0 */
/* Getting rid of what a peer has passed and should not have. */
#ifndef SHM_DISCARD_H
#define SHM_DISCARD_H

#include "ros2/transport.h"

/* Closes fd without waiting, whatever it is. Any thread. */
void shm_discard(const struct ros2_host *host, int fd);

#endif
