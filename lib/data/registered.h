/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a channel's domain has registered for longer than one operation, and that the daemon knows by an id of
 * Memory.Register: what lies in it is named by that id. Owner: the channel's thread, or who holds all queues at the fork gate.
 *
 * A request that names such memory leaves it registered when it is answered. One that ends without an answer has its region
 * deregistered like any other, if no other operation names it (then the daemon is to be told of a new one);
 * else the connection is broken, which ends whatever may still be on its way there, and the others are replayed. */
#ifndef ROS2I_REGISTERED_H
#define ROS2I_REGISTERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ros2/transport.h"

struct ros2i_channel;

/* So many of a channel's are named by requests in flight at once: a third of what the daemon has room for, since it may let go
 * of a key a little after its answer has come. */
#define ROS2I_REGISTERED_AT_ONCE 1024u

/* Serial of the channel's own bounce memory. */
#define ROS2I_REGISTERED_POOL UINT64_MAX

struct ros2i_registered {
    uint64_t serial; /* whose it is: unique in a channel, of the submitter's choice; 0 is none */
    char *addr;
    size_t len;
    unsigned rights;            /* enum ros2_region_right */
    struct ros2_region *region; /* NULL: could not be registered again */
    uint64_t id;                /* the daemon's; 0: not known to it */
    uint64_t old_id;            /* of a region that is gone, until the daemon is told; 0: none */
    bool named;                 /* requests may name it */
    bool asked;                 /* somebody sees to it that the daemon knows it, or has in vain */
    bool refused;    /* the pool: in vain, and it is asked for again once it is waited for */
    uint64_t ticket; /* of who has asked: names it among all channels of a client, ever */
    unsigned users;
};

/* By address. */
struct ros2i_registered_table {
    struct ros2i_registered **entry;
    size_t count, capacity;
    unsigned used;   /* entries with users */
    bool untold;     /* one was renewed, or is waited for: the daemon is to be told */
    uint64_t ask_ns; /* the pool, if it was refused, may be asked for again then */
};

/* addr: borrowed until _remove(). Not named yet. Nothing is added on a transport that can neither check a token nor end access
 * at once: the channel's pool, under ROS2I_REGISTERED_POOL, is all that peers reach there. 0, -ENOMEM, -EMFILE, -ENOTSUP. */
int ros2i_registered_add(struct ros2i_channel *ch, uint64_t serial, void *addr, size_t len,
                         unsigned rights);
/* Makes the channel's bounce memory and registers it, for the channel's life; its domain is open. After an error nothing is left
 * but what _bounce_fini() frees. 0, -ENOMEM, -EMFILE, -ENOTSUP. */
int ros2i_registered_make_pool(struct ros2i_channel *ch);
/* The one of serial, if nobody has asked for it; NULL: there is none. */
struct ros2i_registered *ros2i_registered_unasked(const struct ros2i_channel *ch, uint64_t serial);
/* NULL: it is gone. */
struct ros2i_registered *ros2i_registered_of(const struct ros2i_channel *ch, uint64_t serial);
struct ros2i_registered *ros2i_registered_by_ticket(const struct ros2i_channel *ch,
                                                    uint64_t ticket);
/* Ends remote access for good, at the price of the connection if need be: requests that name it are replayed without. entry is
 * gone afterwards; its ids are the daemon's to be told of. */
void ros2i_registered_remove(struct ros2i_channel *ch, struct ros2i_registered *entry);
/* Ends remote access to all; no operation and no connection is left. */
void ros2i_registered_fini(struct ros2i_channel *ch);

/* The channel's bounce memory, once the daemon knows it; else NULL, and it is asked for. */
const struct ros2i_registered *ros2i_registered_pool(struct ros2i_channel *ch);

/* One that holds [addr, addr + len), has the right and may be named now; counts the caller in. NULL: none. */
struct ros2i_registered *ros2i_registered_take(struct ros2i_channel *ch, const void *addr,
                                               size_t len, unsigned right);
/* How many of the bytes [addr, addr + len) lie side by side in one such, from addr on; counts nobody in. */
size_t ros2i_registered_run(const struct ros2i_channel *ch, const void *addr, size_t len,
                            unsigned right);
void ros2i_registered_give(struct ros2i_channel *ch, struct ros2i_registered **entry_p);
/* For the operation whose requests alone name it and end without an answer: ends remote access, and registers it anew, so that
 * it is unasked again, and the table untold. They are to be counted out next. -EBUSY: the peer is being sent bytes of it; or the
 * transport does not revoke. */
int ros2i_registered_renew(struct ros2i_channel *ch, struct ros2i_registered *entry);

#endif
