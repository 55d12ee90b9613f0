/* SPDX-License-Identifier: Apache-2.0 */
/* A client as the files of lib/core see it. */
#ifndef ROS2I_CLIENT_H
#define ROS2I_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/control/control.h"
#include "lib/core/registration.h"
#include "lib/core/worker.h"
#include "lib/data/channel.h"
#include "lib/protocol/session.h"
#include "ros2/client.h"

#define ROS2I_HOSTS_MAX 4

/* What a closed queue leaves to the next one with its number: the daemon remembers a queue by it. */
struct ros2i_queue_number {
    uint32_t number;
    uint64_t epoch, sequence;
};

struct ros2i_closing;

/* Why a transport was not chosen. */
struct ros2i_refusal {
    char name[ROS2I_TRANSPORT_NAME_MAX];
    char why[480];
};

struct ros2_client {
    /* Fixed after connect. */
    uint64_t serial; /* unique in the process, never 0: the key of per-thread caches */
    struct ros2i_control *control;
    const struct ros2_transport_ops *ops; /* a forked child may change to child_ops */
    const struct ros2_transport_ops
        *child_ops;                /* for a forked child that cannot use ops; NULL: there is none */
    struct ros2i_refusal *refusal; /* of transports that were tried before */
    unsigned refusal_count;
    struct ros2i_session session; /* wiped with the client */
    uint64_t timeout_ns;
    int checksum;
    char host[ROS2I_HOSTS_MAX]
             [ROS2I_CHANNEL_ADDRESS_MAX]; /* of the control plane: numeric, v6 in brackets */
    unsigned host_count;
    char *networks; /* setting networks; NULL: any */
    char *shm_dir;  /* where this process sees the daemon's sockets; NULL: where the daemon says */

    _Atomic bool
        attached; /* this process's nonce is known to the daemon; false after fork() until the next call */

    pthread_mutex_t lock; /* never held over a call that blocks; taken by fork() */
    /* Guarded by lock: */
    uint8_t nonce[ROS2I_NONCE_LEN];
    bool inherited; /* made before a fork(): the session is the parent's to close */
    struct ros2i_queue *queues;
    struct ros2_file *files;
    struct ros2_queue *async_queues;
    struct ros2i_worker worker;
    struct ros2i_registrations registrations;
    struct ros2i_queue_number *retired; /* free numbers below next_number */
    size_t retired_count, retired_capacity;
    uint32_t next_number;

    _Atomic(struct ros2i_closing *) unclosed; /* handles that are still to be closed; closing.c */

    /* Guarded by the registry's lock. */
    struct ros2_client *next;
};

/* now + the client's timeout. */
uint64_t ros2i_client_deadline(const struct ros2_client *client);
/* Begins every call that may reach the daemon: after a fork() it tells the daemon of this process. 0 or the error of
 * Session.Attach. */
int ros2i_client_enter(struct ros2_client *client, uint64_t deadline_ns);
/* Attach, whatever is believed about it. -ESTALE: the daemon does not know the session. */
int ros2i_client_attach(struct ros2_client *client, uint64_t deadline_ns);
/* An error of lib/control as the caller is to see it: -ENOKEY becomes -ESTALE with a text that says what to do. */
int ros2i_client_error(int rc);

/* -- endpoints.c -- */

/* In a forked child, from the fork handler: takes the next transport where the first is only the parent's. */
void ros2i_endpoints_after_fork(struct ros2_client *client);

/* Resolves the host of the control plane; blocks in the resolver. 0 or -EHOSTUNREACH. */
int ros2i_endpoints_resolve(struct ros2_client *client, const char *host);
/* Every address that the host has is loopback. */
bool ros2i_endpoints_loopback(const struct ros2_client *client);
/* Loads the first transport that both ends can use: of `wanted`, a list with commas, or NULL: of the session's endpoints, in
 * their order. client is in the registry. Blocks while it tries one of this machine, at most until deadline_ns. Without any,
 * the text names each, with its cause and the way out. */
int ros2i_endpoints_choose(struct ros2_client *client, const char *wanted, uint64_t deadline_ns);
/* Whether setting networks leaves the transport, if the daemon offers it, an address. 0 or -EHOSTUNREACH. */
int ros2i_endpoints_in_networks(const struct ros2_client *client, const char *transport);
/* The addresses of queue number's endpoint. Returns how many; 0: setting networks leaves none. */
unsigned ros2i_endpoints_of_queue(const struct ros2_client *client, uint32_t number,
                                  char address[ROS2I_HOSTS_MAX][ROS2I_CHANNEL_ADDRESS_MAX]);

#endif
