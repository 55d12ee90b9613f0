/* SPDX-License-Identifier: Apache-2.0 */
/* What wakes an end that sleeps: an eventfd that it made, waits on and gives to its peer, who rings it. */
#ifndef SHM_DOORBELL_H
#define SHM_DOORBELL_H

#include <linux/aio_abi.h>
#include <stdbool.h>

#include "ros2/transport.h"

/* How an end rings its peer's. */
enum shm_ring_way {
    SHM_RING_BYTE, /* not at all: SHM_WAKE goes over the socket, and the peer's doorbell is not kept */
    SHM_RING_WRITE, /* may block when the peer wants it to: the side that connected, and so trusts whom it connected to */
    SHM_RING_AIO,   /* never blocks */
};

/* What a domain has for SHM_RING_AIO. owner: the domain's thread. */
struct shm_ringer {
    bool usable;           /* there is asynchronous I/O here */
    bool complained;       /* there was none */
    int ready_fd;          /* something that poll always finds ready; only when it is usable */
    unsigned under_way;    /* requests whose results have not been taken */
    aio_context_t context; /* not 0: to be destroyed */
};

/* Makes the own doorbell of ep and puts it into the epoll set. 0, or a negative errno with a text. */
int shm_doorbell_open(struct ros2_ep *ep);
/* Takes over the peer's, which came with its greeting. 0, or -EPROTO and *why_p: it is no eventfd. */
int shm_doorbell_take(struct ros2_ep *ep, int fd, const char **why_p);
/* Closes both. */
void shm_doorbell_close(struct ros2_ep *ep);
/* Wakes the peer; never blocks for its sake at the side that accepted it. false: a byte has to. */
bool shm_doorbell_ring(struct ros2_ep *ep);
void shm_ringer_fini(struct ros2_domain *domain);

#endif
