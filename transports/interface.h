/* SPDX-License-Identifier: Apache-2.0 */
/* Which network interface an address is reached over. Built into each plugin that has to choose a device. */
#ifndef TRANSPORTS_INTERFACE_H
#define TRANSPORTS_INTERFACE_H

#include <net/if.h>

#include "transports/address.h"

/* The interface that has the address. 0, or -1: none, or it cannot be told. */
int interface_with(const union ip_address *local, char name[IFNAMSIZ]);
/* The interface that this host would send to the peer over. 0 or -1, as above. Sends nothing. */
int interface_towards(const union ip_address *peer, char name[IFNAMSIZ]);

#endif
