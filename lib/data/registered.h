/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a channel's domain has registered for longer than one operation, and that the daemon knows by an id of
 * Memory.Register: what lies in it is named by that id. Owner: the channel's thread, or who holds all queues at the fork gate.
 *
 * A request that names such memory leaves it registered when it ends. Without an answer the connection is broken, which ends
 * what may still be on its way to the memory; another request of this connection could be on its way there, too. */
#ifndef ROS2I_REGISTERED_H
#define ROS2I_REGISTERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ros2/transport.h"

struct ros2i_channel;

/* So many of a channel's are named by requests in flight at once: half of what the daemon has room for, since it may let go of
 * a key a little after its answer has come. */
#define ROS2I_REGISTERED_AT_ONCE 32u

struct ros2i_registered {
    uint64_t serial; /* whose it is: unique in a channel, of the submitter's choice */
    char *addr;
    size_t len;
    unsigned rights; /* enum ros2_region_right */
    struct ros2_region *region;
    uint64_t id;     /* the daemon's; 0: not known to it, so no request names it */
    bool asked;      /* somebody sees to that, or has in vain */
    uint64_t ticket; /* of who has asked: names it among all channels of a client, ever */
    unsigned users;
};

/* By address. */
struct ros2i_registered_table {
    struct ros2i_registered **entry;
    size_t count, capacity;
    unsigned used; /* entries with users */
};

/* addr: borrowed until _remove(). 0, -ENOMEM, -EMFILE, -ENOTSUP. */
int ros2i_registered_add(struct ros2i_channel *ch, uint64_t serial, void *addr, size_t len,
                         unsigned rights);
/* The first that nobody has asked for; NULL: none. */
struct ros2i_registered *ros2i_registered_unasked(const struct ros2i_channel *ch);
struct ros2i_registered *ros2i_registered_by_ticket(const struct ros2i_channel *ch,
                                                    uint64_t ticket);
/* Ends remote access for good, at the price of the connection if need be. No operation uses the memory. Returns the daemon's
 * id, which is to be unregistered there, or 0: it has none. */
uint64_t ros2i_registered_remove(struct ros2i_channel *ch, uint64_t serial);
/* Ends remote access to all; no operation is left. */
void ros2i_registered_fini(struct ros2i_channel *ch);

/* One that holds [addr, addr + len), has the right and may be named now; counts the caller in. NULL: none. */
struct ros2i_registered *ros2i_registered_take(struct ros2i_channel *ch, const void *addr,
                                               size_t len, unsigned right);
void ros2i_registered_give(struct ros2i_channel *ch, struct ros2i_registered **entry_p);

#endif
