/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: a connected endpoint (FI_EP_MSG) of libfabric. */
#ifndef OFI_ENDPOINT_H
#define OFI_ENDPOINT_H

#include <rdma/fi_endpoint.h>

#include "transports/address.h"
#include "transports/ofi/backlog.h"
#include "transports/ofi/domain.h"
#include "transports/ofi/wire.h"

#define OFI_WINDOW 24u /* fragments that a peer may send before it gets credits back */
#define OFI_WORKS \
    192u /* transfers in flight: the pieces of the most scattered put, and its message */
#define OFI_OUT_MAX 16u /* of these, fragments: each has a buffer */

enum ofi_ep_state {
    OFI_EP_CONNECTING,
    OFI_EP_ACCEPTING,
    OFI_EP_OPEN,
    OFI_EP_DEAD,      /* over; waiting for its user to free it */
    OFI_EP_LINGERING, /* closed by its user; waiting for the last messages to leave */
    OFI_EP_FREED,     /* waiting until nothing refers to it */
};

enum ofi_work_kind { OFI_WORK_RECEIVE, OFI_WORK_FRAGMENT, OFI_WORK_RMA, OFI_WORK_HEARTBEAT };

/* Something that libfabric was given and has not yet completed. */
struct ofi_work {
    struct fi_context2 context; /* first: completions point here (FI_CONTEXT2) */
    struct ros2_ep *ep;
    struct ros2_op *op; /* or NULL */
    uint8_t *buffer;    /* of a fragment */
    struct fid_mr *mr;  /* of an RMA whose local memory was registered for it alone */
    struct ofi_work *next;
    enum ofi_work_kind kind;
};

/* owner: the domain's thread. */
struct ros2_ep {
    struct ros2_domain *domain;
    enum ofi_ep_state state;
    struct fid_ep *fi;       /* NULL once closed */
    struct ofi_queue *queue; /* its completions come there; NULL: it has had none */
    struct ros2_ep_handler handler;
    void *arg;
    bool usable;  /* accepted, or connected() was called: transfers are allowed */
    bool handled; /* handler is set */
    bool down;    /* ends with `error` once all that was received is delivered */
    bool bye;     /* our last message has left */
    bool in_ready;
    bool took; /* the request that it was made of is its own */
    bool left; /* its place in the queue is another's */
    int error;
    union ip_address peer;
    struct ros2_listener *listener;  /* while ACCEPTING */
    TAILQ_ENTRY(ros2_ep) link;       /* domain: eps, dead, lingering or graveyard */
    TAILQ_ENTRY(ros2_ep) ready_link; /* domain: ready, when in_ready */
    struct ofi_mark ended;           /* when fi was closed, or the endpoint went down */
    uint64_t linger_until_ns;
    unsigned answers, answers_seen, misses; /* see heartbeat.c; answers: transfers that completed */

    struct ros2_op *done_first, *done_last; /* completed, not yet told */

    /* messages out */
    struct ofi_work *free_works;
    unsigned free_count, rma_count;
    uint8_t *out[OFI_OUT_MAX]; /* free buffers */
    unsigned out_count;
    unsigned window;  /* what the peer takes */
    unsigned credits; /* of these, left */
    struct ofi_backlog backlog;
    /* messages in */
    unsigned granted; /* fragments that the peer may send */
    unsigned owed;    /* receives posted again that the peer has not been told of */
    uint8_t *parts;   /* of a message in several fragments; made when first needed */
    uint32_t have, want;

    uint8_t *memory;       /* of all fragments */
    struct fid_mr *own_mr; /* of memory, where the device asks for one */
    struct ofi_work receive[OFI_WINDOW];
    struct ofi_work work[OFI_WORKS];
};

int ofi_connect(struct ros2_domain *domain, const char *address,
                const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p);
void ofi_ep_set_handler(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg);
int ofi_ep_peer(struct ros2_ep *ep, char *buf, size_t len);
void ofi_ep_abort(struct ros2_ep *ep);

/* -- for the other files -- */

/* Makes an endpoint of info, with its receives posted. Where that fails *ep_p is NULL, or is freed at the end of the turn and
 * tells whether it took the request over. */
int ofi_ep_create(struct ros2_domain *domain, struct fi_info *info, enum ofi_ep_state state,
                  struct ros2_ep **ep_p);
/* The connection stands; greeting: the peer's. Runs callbacks. */
void ofi_ep_established(struct ros2_ep *ep, const void *greeting, size_t len);
/* Puts the error text of a failed connection; returns -err like host->fail. */
int ofi_ep_fail(struct ros2_ep *ep, int err, const char *why);
/* The connection has failed: ends with err (negative) once all that was received is delivered. */
void ofi_ep_down(struct ros2_ep *ep, int err);
/* The connection is over: completes all ops, then tells the user. Only where callbacks may run. */
void ofi_ep_die(struct ros2_ep *ep, int err);
/* progress() has to come by. */
void ofi_ep_ready(struct ros2_ep *ep);

struct ofi_work *ofi_ep_take_work(struct ros2_ep *ep, enum ofi_work_kind kind, struct ros2_op *op);
void ofi_ep_give_work(struct ros2_ep *ep, struct ofi_work *work);
/* One of the parts of op has ended; the last one completes it. The first error counts. */
void ofi_ep_part_done(struct ros2_ep *ep, struct ros2_op *op, int status);
/* Runs done of what has completed; returns how many. */
int ofi_ep_run_done(struct ros2_ep *ep);
/* Completes all that is not complete with status. Runs no callback. */
void ofi_ep_cancel(struct ros2_ep *ep, int status);
/* Ends the connection, at once and for good, and takes ep out of the lists of the living. */
void ofi_ep_unlink(struct ros2_ep *ep);
/* To be freed as soon as nothing refers to it. */
void ofi_ep_bury(struct ros2_ep *ep);
void ofi_ep_free(struct ros2_ep *ep);

/* What libfabric wants to have with the memory of fragments. */
static inline void *ofi_ep_desc(const struct ros2_ep *ep)
{
    return ep->own_mr ? fi_mr_desc(ep->own_mr) : NULL;
}

/* An op's words: the next in the done list, its status, how many parts are out. */
enum { OFI_OP_NEXT, OFI_OP_STATUS, OFI_OP_PARTS };

#endif
