/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory of a client, as the daemon is told of it: once for each queue, since a region belongs to a channel. Any
 * thread. Who registers waits until the daemon knows; for a new queue the client's worker tells it, and until then, or if
 * the daemon refuses, operations name their memory as if it were not registered. For a channel's bounce memory they wait, and
 * ask again. */
#ifndef ROS2I_REGISTRATION_H
#define ROS2I_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ros2_client;
struct ros2i_queue;

/* A piece of memory. Its user's; lives from _begin() to _withdraw(). */
struct ros2i_registration {
    uint64_t serial;
    void *addr;
    size_t len;
    unsigned rights; /* enum ros2_region_right */
    bool published;  /* requests may name it where the daemon knows it */
    struct ros2i_registration *next;
};

struct ros2i_registrations { /* guarded by client->lock */
    struct ros2i_registration *first;
    uint64_t last_serial, last_ticket;
    uint64_t *stale; /* ids of regions that are gone here and still known to the daemon */
    size_t stale_count, stale_capacity;
};

/* Blocks until the daemon knows of it on every queue that there is; before that no request names it. After an error nothing is
 * left here (a call that timed out may have left something at the daemon, until the session ends): -ENOMEM, -EMFILE, -EDQUOT
 * (the tenant's limits), and those of a control call. */
int ros2i_registration_begin(struct ros2_client *client, struct ros2i_registration *registration,
                             uint64_t deadline_ns);
/* With all queues at the fork gate. Nothing has access to it afterwards. */
void ros2i_registration_withdraw(struct ros2_client *client,
                                 const struct ros2i_registration *registration);
/* Tells the daemon what is gone. Blocks, for some seconds at most. */
void ros2i_registration_tell_gone(struct ros2_client *client);

/* queue is new. With client->lock held. Where there is no room for its regions it goes without. */
void ros2i_registration_add_queue(struct ros2i_queue *queue);
/* Gives that and what is new to the worker. Without the lock. */
void ros2i_registration_tell_later(struct ros2_client *client);
/* The worker: tells the daemon what new queues have, and what is gone. Blocks, for some seconds at most;
 * what is left then it is given as new work. */
void ros2i_registration_tell(struct ros2_client *client);
/* queue is about to be destroyed. With client->lock held. */
void ros2i_registration_drop_queue(struct ros2i_queue *queue);
/* In a forked child, with client->lock held: what is registered is the parent's; here it is ordinary memory. */
void ros2i_registration_after_fork(struct ros2_client *client);
void ros2i_registration_forget(struct ros2_client *client); /* frees; the session is at its end */

#endif
