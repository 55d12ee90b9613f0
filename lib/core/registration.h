/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory of a client, as the daemon is told of it: once for each queue, since a region belongs to a channel. Any
 * thread. Who registers waits until the daemon knows; for a new queue the client's worker tells it, and until then, or if
 * the daemon refuses, operations name their memory as if it were not registered. */
#ifndef ROS2I_REGISTRATION_H
#define ROS2I_REGISTRATION_H

#include <stddef.h>
#include <stdint.h>

struct ros2_client;
struct ros2i_queue;

/* A piece of memory. Its user's; lives until ros2i_registration_end(). */
struct ros2i_registration {
    uint64_t serial;
    void *addr;
    size_t len;
    unsigned rights; /* enum ros2_region_right */
    struct ros2i_registration *next;
};

struct ros2i_registrations { /* guarded by client->lock */
    struct ros2i_registration *first;
    uint64_t last_serial, last_ticket;
    uint64_t *stale; /* ids of regions that are gone here and still known to the daemon */
    size_t stale_count, stale_capacity;
};

/* Blocks until the daemon knows of it on every queue that there is. After an error nothing is left: -ENOMEM, -EMFILE,
 * -EDQUOT (the tenant's limits), and those of a control call. */
int ros2i_registration_begin(struct ros2_client *client, struct ros2i_registration *registration,
                             uint64_t deadline_ns);
/* No operation uses the memory. When it returns nothing has access to it; it blocks for telling the daemon, at most until
 * deadline_ns. */
void ros2i_registration_end(struct ros2_client *client, struct ros2i_registration *registration,
                            uint64_t deadline_ns);

/* queue is new. With client->lock held. 0, -ENOMEM, -EMFILE. */
int ros2i_registration_add_queue(struct ros2i_queue *queue);
/* The worker: tells the daemon what new queues have, and what is gone. Blocks. */
void ros2i_registration_tell(struct ros2_client *client, uint64_t deadline_ns);
/* queue is about to be destroyed. With client->lock held. */
void ros2i_registration_drop_queue(struct ros2i_queue *queue);
/* In a forked child, with client->lock held: what is registered is the parent's; here it is ordinary memory. */
void ros2i_registration_after_fork(struct ros2_client *client);
void ros2i_registration_forget(struct ros2_client *client); /* frees; the session is at its end */

#endif
