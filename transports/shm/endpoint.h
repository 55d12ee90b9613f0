/* SPDX-License-Identifier: Apache-2.0 */
/* One connection. */
#ifndef SHM_ENDPOINT_H
#define SHM_ENDPOINT_H

#include <stdbool.h>
#include <sys/un.h>

#include "ros2/transport.h"
#include "transports/shm/address.h"
#include "transports/shm/domain.h"
#include "transports/shm/peer.h"
#include "transports/shm/queue.h"
#include "transports/shm/ring.h"

enum shm_ep_state {
    SHM_EP_CONNECTING,    /* to call connect(2) */
    SHM_EP_GREETING,      /* to send HELLO */
    SHM_EP_AWAIT_WELCOME, /* HELLO is out */
    SHM_EP_AWAIT_HELLO,   /* accepted */
    SHM_EP_ANSWERING,     /* to send WELCOME */
    SHM_EP_OPEN,          /* messages flow */
    SHM_EP_DEAD,          /* over; waiting for its user to free it */
    SHM_EP_LINGERING,     /* closed by its user; waiting for room for the last messages */
    SHM_EP_FREED,         /* waiting for the outermost call to return */
};

/* owner: the domain's thread. */
struct ros2_ep {
    enum shm_source source; /* first: epoll points here */
    enum shm_ep_state state;
    struct ros2_domain *domain;
    int fd;
    bool watched;  /* fd is in the epoll set */
    bool accepted; /* by a listener: the peer is not trusted in anything */
    bool usable;   /* accepted, or connected() was called: transfers are allowed */
    bool handled;  /* handler is set */
    bool sleeping; /* the peer is to ring the doorbell */
    bool owed;     /* it has done so for nothing, or will */
    bool blocked;  /* the queue's head waits for the peer */
    bool hup;      /* the socket has ended: what is in the ring is all there is */
    bool put_out;  /* records in the ring that are not published */
    int error;     /* negative: it ends with this at the next progress */
    unsigned idle; /* turns without anything */
    struct ros2_ep_handler handler;
    void *arg;
    struct sockaddr_un address; /* connecting */
    char peer[SHM_ADDRESS_MAX + 1];

    struct shm_list link; /* domain: hot, sleeping, opening, dead, lingering or graveyard */
    struct shm_list ready_link;
    struct shm_list output_link;
    struct shm_list sharing_link;

    struct shm_ring *ring;  /* NULL until it is known */
    int ring_fd;            /* to be sent */
    struct shm_peer shared; /* the peer's memory */
    struct shm_queue queue;
    struct ros2_op *done_first,
        *done_last; /* completed, not yet told; linked by op->plugin[0], status in [1] */

    uint8_t *message; /* a message that comes in fragments, made by the first one */
    uint64_t message_total, message_len;

    /* A record of the socket that is not complete, and descriptors that came with it. */
    uint8_t in[sizeof(struct shm_greeting)];
    uint8_t in_len;
    uint8_t fd_count;
    int fds[SHM_HELLO_FDS];

    enum shm_source doorbell_source; /* epoll points here */
    enum shm_ring_way ring_way;
    int doorbell, peer_doorbell;

    uint64_t files_revision;
    uint64_t file_sent[SHM_FILES]; /* serial that the peer knows under this index */
    uint64_t linger_until_ns;
};

/* Takes over fd (closed on failure). 0, -ENOMEM, ... */
int shm_ep_create(struct ros2_domain *domain, int fd, enum shm_ep_state state,
                  struct ros2_ep **ep_p);
int shm_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p);
void shm_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg);
int shm_ep_peer(struct ros2_ep *ep, char *buf, size_t len);
void shm_ep_abort(struct ros2_ep *ep);

/* -- for the other files -- */

/* The connection is over: completes all ops, then tells the user. Only where callbacks may run. */
void shm_ep_die(struct ros2_ep *ep, int err);
/* Puts the error text of a failed connection; returns -err like host->fail. */
int shm_ep_fail(struct ros2_ep *ep, int err, const char *why);
/* It dies with err, which shm_ep_fail returned, at the next progress. Runs no callback. */
void shm_ep_doom(struct ros2_ep *ep, int err);
/* progress() has to come by. */
void shm_ep_ready(struct ros2_ep *ep);
/* Both greetings are done. Runs connected(). */
void shm_ep_opened(struct ros2_ep *ep);
/* Polled from now on. */
void shm_ep_heat(struct ros2_ep *ep);
/* No longer polled: the peer wakes. false: there is something to do, it stays polled. */
bool shm_ep_sleep(struct ros2_ep *ep);
/* Tells the peer of what is published, as it sleeps. */
void shm_ep_wake(struct ros2_ep *ep);

/* Marks op as complete; shm_ep_run_done tells its user. */
void shm_ep_done(struct ros2_ep *ep, struct ros2_op *op, int status);
/* Runs done of what has completed; returns how many. */
int shm_ep_run_done(struct ros2_ep *ep);
/* Completes with status all ops from this item on, releases their pins, forgets the items. Runs no callback. */
void shm_ep_cancel(struct ros2_ep *ep, struct shm_item *from, int status);
/* Takes ep out of the lists of the living and closes its descriptors. */
void shm_ep_unlink(struct ros2_ep *ep);
/* Shuts this domain's regions to the peer of ep, for good. */
void shm_ep_shut(struct ros2_ep *ep, enum shm_gate gate);
/* To be freed when the outermost call returns. */
void shm_ep_bury(struct ros2_ep *ep);
void shm_ep_free(struct ros2_ep *ep);

#endif
