/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: an endpoint of UCX. */
#ifndef UCX_ENDPOINT_H
#define UCX_ENDPOINT_H

#include "transports/address.h"
#include "transports/ucx/domain.h"
#include "transports/ucx/wire.h"

/* Transfers that one endpoint may have in flight: the pieces of the most scattered put, and what goes with it. */
#define UCX_WORKS 192u

enum ucx_ep_state {
    UCX_EP_CONNECTING,
    UCX_EP_ACCEPTING,
    UCX_EP_OPEN,
    UCX_EP_DEAD,      /* over; waiting for its user to free it */
    UCX_EP_LINGERING, /* closed by its user; waiting for the last messages to leave */
    UCX_EP_FREED,     /* waiting until nothing refers to it */
};

enum ucx_work_kind {
    UCX_WORK_MESSAGE, /* an active message of no region */
    UCX_WORK_PUT,     /* a part of a put: data, or the flush behind it */
    UCX_WORK_GET,     /* a part of a get */
    UCX_WORK_SERVE,   /* the answer to a peer's get, from a region of ours */
    UCX_WORK_BEAT,    /* nobody waits for it */
};

/* Something that UCX was given and has not yet completed. */
struct ucx_work {
    enum ucx_work_kind kind;
    struct ros2_ep *ep;
    struct ucx_item *item; /* PUT: it waits for this; MESSAGE: whose bytes are on their way */
    struct ros2_op *op;    /* GET */
    void *copy;            /* PUT, SERVE over tcp: the bytes that UCX sends, see copy.c */
    size_t copy_len;
    struct ros2_rkey *rkey; /* PUT, GET of a device */
    uint64_t number;        /* GET by active messages: what the peer names it by */
    void *target;           /* and where its bytes go */
    size_t len;
    bool asked; /* GET by active messages: counted in gets_asked, UCX has not got it */
    uint8_t header[UCX_HEADER];
    LIST_ENTRY(ucx_work) link; /* ep: works */
    struct ucx_work *next;     /* domain: free_works */
};
LIST_HEAD(ucx_works, ucx_work);

/* A message that waits for its turn, or for the data of its put. */
struct ucx_item {
    TAILQ_ENTRY(ucx_item) link;
    struct ros2_op *op; /* or NULL */
    unsigned waits;     /* parts of its put that are not over */
    enum ucx_message_type type;
    size_t len, cap;
    uint8_t *bytes; /* kept with the item */
    struct ucx_item *next;
};
TAILQ_HEAD(ucx_items, ucx_item);

/* A message that came and waits for its user. */
struct ucx_arrival {
    STAILQ_ENTRY(ucx_arrival) link;
    enum ucx_message_type type;
    void *data; /* the worker's, to be released; or NULL */
    size_t len;
    struct ucx_arrival *next;
};
STAILQ_HEAD(ucx_arrivals, ucx_arrival);

enum ucx_oob_state { UCX_OOB_CONNECTING, UCX_OOB_SENDING, UCX_OOB_RECEIVING, UCX_OOB_WATCHING };

/* See oob.c. */
struct ucx_oob {
    int fd; /* -1: there is none */
    enum ucx_oob_state state;
    uint8_t *bytes; /* of len, of which the first `done` were sent or received */
    size_t len, done;
};

/* owner: the domain's thread. */
struct ros2_ep {
    struct ros2_domain *domain;
    enum ucx_ep_state state;
    ucp_ep_h ucp; /* NULL once closed */
    struct ros2_ep_handler handler;
    void *arg;
    bool usable;  /* connected() was called, or it was accepted: transfers are allowed */
    bool handled; /* handler is set */
    bool down;    /* ends with `error` once all that was received is delivered */
    bool in_ready;
    bool settled;    /* both ends are connected */
    bool failed;     /* UCX has given it up, or the peer broke the rules */
    bool asks;       /* we connect; else we were connected to */
    bool greeted;    /* tcp: the peer's HELLO has come */
    bool introduced; /* he has greeted, and tcp: knows our greeting: the rest may come */
    bool bye;        /* our last message is on its way */
    bool heard;      /* tcp: the peer's last message has come */
    bool answered;   /* tcp: the peer has our last message */
    bool left;       /* LINGERING: of no use any more to its user, or to whom he talked with */
    int error;
    int verdict; /* what parts that UCX gives back are told; 0: that the connection failed */
    uint64_t number, peer_number;
    uint64_t
        waits_ns; /* since when something is under way and nothing has ended, see heartbeat.c; 0: not so */
    uint64_t until_ns; /* CONNECTING, ACCEPTING, LINGERING: it ends then */
    union ip_address peer;
    struct ucx_oob oob;
    struct ros2_listener *listener;  /* while ACCEPTING */
    TAILQ_ENTRY(ros2_ep) link;       /* domain: eps, dead, lingering or graveyard */
    TAILQ_ENTRY(ros2_ep) ready_link; /* domain: ready, when in_ready */

    struct ros2_op *done_first, *done_last; /* completed, not yet told */
    struct ucx_works works;
    unsigned work_count;
    unsigned serving; /* of these, for the peer */
    struct ucx_items outbox;
    size_t queued; /* bytes of messages that UCX has not sent */
    struct ucx_arrivals inbox;
};

int ucx_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p);
void ucx_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg);
int ucx_ep_peer(struct ros2_ep *ep, char *buf, size_t len);
void ucx_ep_abort(struct ros2_ep *ep);

/* -- for the other files -- */

/* A connection that is to come about, with no endpoint of UCX yet. 0, or -errno with a text. */
int ucx_ep_new(struct ros2_domain *domain, const union ip_address *peer, enum ucx_ep_state state,
               struct ros2_ep **ep_p);
/* Its endpoint of UCX; params say whom with. 0, or -errno with a text. */
int ucx_ep_begin(struct ros2_ep *ep, ucp_ep_params_t *params);
/* Whether it is neither dead nor freed. */
bool ucx_ep_alive(const struct ros2_ep *ep);
/* Puts the error text of a failed connection; returns -err like host->fail. */
int ucx_ep_fail(struct ros2_ep *ep, int err, const char *why);
/* UCX has given the connection up. */
void ucx_ep_failed(struct ros2_ep *ep, ucs_status_t status);
/* The connection has failed: ends with err (negative) once all that was received is delivered. */
void ucx_ep_down(struct ros2_ep *ep, int err);
/* The peer broke the protocol. */
void ucx_ep_broke(struct ros2_ep *ep, const char *how);
/* The connection is over: completes all ops, then tells the user. Only where callbacks may run. */
void ucx_ep_die(struct ros2_ep *ep, int err);
/* progress() has to come by. */
void ucx_ep_ready(struct ros2_ep *ep);
/* Whether UCX's endpoint may be closed, see linger.c. */
bool ucx_ep_may_close(const struct ros2_ep *ep);
/* Ends the connection, at once and for good if it may be closed, and takes ep out of the lists of the living. Parts get `verdict`. */
void ucx_ep_unlink(struct ros2_ep *ep, int verdict);
/* To be freed as soon as nothing refers to it. */
void ucx_ep_bury(struct ros2_ep *ep);
/* Ends what outlives its time (CONNECTING, ACCEPTING, LINGERING), and sets the timer for the next. */
void ucx_ep_expire(struct ros2_domain *domain, uint64_t now_ns);

/* One of the parts of op has ended; the last one completes it. The first error counts. */
void ucx_op_part_done(struct ros2_ep *ep, struct ros2_op *op, int status);
/* Runs done of what has completed; returns how many. */
int ucx_op_run_done(struct ros2_ep *ep);

/* An op's words: the next in the done list, its status, how many parts are out. */
enum { UCX_OP_NEXT, UCX_OP_STATUS, UCX_OP_PARTS };

#endif
