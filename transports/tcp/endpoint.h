/* SPDX-License-Identifier: Apache-2.0 */
/* One connection. */
#ifndef TCP_ENDPOINT_H
#define TCP_ENDPOINT_H

#include <stdbool.h>

#include "ros2/transport.h"
#include "transports/address.h"
#include "transports/tcp/domain.h"
#include "transports/tcp/queue.h"
#include "transports/tcp/receive.h"

enum tcp_ep_state {
    TCP_EP_CONNECTING, /* waiting for connect(2) */
    TCP_EP_OPEN,       /* connected; what is awaited from the peer is in receive */
    TCP_EP_DEAD,       /* over; waiting for its user to free it */
    TCP_EP_LINGERING,  /* closed by its user; waiting for the last bytes to leave */
    TCP_EP_FREED,      /* waiting for the outermost call to return */
};

struct tcp_gets;

/* owner: the domain's thread. */
struct ros2_ep {
    enum tcp_source source; /* first: epoll points here */
    enum tcp_ep_state state;
    struct ros2_domain *domain;
    int fd;
    uint32_t interest; /* events in the epoll set */
    bool usable;       /* accepted, or connected() was called: transfers are allowed */
    bool handled;      /* handler is set */
    bool stuck;        /* the socket took no more */
    int low_water;     /* bytes that the socket has to have before epoll tells of it */
    bool backlog;      /* frames lie in the receive buffer that the last turn had no time for */
    int error; /* negative: sending failed; the connection ends once all received is delivered */
    struct ros2_ep_handler handler;
    void *arg;
    union ip_address peer;

    struct tcp_list link;        /* domain: eps, dead, lingering or graveyard */
    struct tcp_list ready_link;  /* domain: ready */
    struct tcp_list output_link; /* domain: output */

    struct tcp_queue queue;
    struct ros2_op *done_first,
        *done_last; /* completed, not yet told; linked by op->plugin[0], status in [1] */
    struct tcp_receive receive;
    struct tcp_gets *gets; /* own, unanswered; made by the first get */
    uint32_t answers_owed; /* gets of the peer not yet fully answered */
    uint64_t linger_until_ns;
};

/* Takes over fd (closed on failure). An accepted endpoint is open, a connecting one is not. 0, -ENOMEM, ... */
int tcp_ep_create(struct ros2_domain *domain, int fd, const union ip_address *peer,
                  enum tcp_ep_state state, struct ros2_ep **ep_p);
int tcp_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p);
void tcp_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg);
int tcp_ep_peer(struct ros2_ep *ep, char *buf, size_t len);
int tcp_send(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op);
void tcp_flush(struct ros2_ep *ep);
void tcp_ep_abort(struct ros2_ep *ep);

/* -- for the other files -- */

/* Says our preamble. Called once per connection. 0 or negative errno. */
int tcp_ep_greet(struct ros2_ep *ep);
/* connect(2) has ended one way or the other. */
void tcp_ep_connect_done(struct ros2_ep *ep);
/* Reads and delivers, bounded; returns the number of events. */
int tcp_ep_receive(struct ros2_ep *ep);
/* The connection is over: completes all ops, then tells the user. Only where callbacks may run. */
void tcp_ep_die(struct ros2_ep *ep, int err);
/* Puts the error text of a failed connection; returns -err like host->fail. */
int tcp_ep_fail(struct ros2_ep *ep, int err, const char *why);

/* Room for a frame of the user's: 0, -EAGAIN, -EMSGSIZE, -ENOTCONN. */
int tcp_ep_room(struct ros2_ep *ep, size_t record_size);
/* A record was appended: sends it at once when much is waiting, else with the next flush. */
void tcp_ep_queued(struct ros2_ep *ep);
/* Sets which events the epoll set reports. */
void tcp_ep_interest(struct ros2_ep *ep, uint32_t events);
/* progress() has to come by. */
void tcp_ep_ready(struct ros2_ep *ep);

/* Marks op as complete; tcp_ep_run_done tells its user. */
void tcp_ep_done(struct ros2_ep *ep, struct ros2_op *op, int status);
/* Runs done of what has completed; returns how many. */
int tcp_ep_run_done(struct ros2_ep *ep);
/* Completes with status all ops from this record on (NULL: only the gets), forgets the records. Runs no callback. */
void tcp_ep_cancel(struct ros2_ep *ep, struct tcp_record *from, int status);
/* Takes ep out of the lists of the living and closes its descriptor (when close_fd). */
void tcp_ep_unlink(struct ros2_ep *ep, bool close_fd);
/* To be freed when the outermost call returns. */
void tcp_ep_bury(struct ros2_ep *ep);
void tcp_ep_free(struct ros2_ep *ep);

#endif
