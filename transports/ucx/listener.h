/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks for a connection, and who gets one. */
#ifndef UCX_LISTENER_H
#define UCX_LISTENER_H

#include "transports/ucx/endpoint.h"

/* A device's: who has asked and waits. UCX keeps him until he gets an endpoint or is rejected. */
struct ucx_asker {
    STAILQ_ENTRY(ucx_asker) link;
    ucp_conn_request_h request;
    union ip_address peer;
};

/* owner: the domain's thread. */
struct ros2_listener {
    struct ros2_domain *domain;
    ros2_accept_fn *on_accept;
    void *arg;
    union ip_address local;
    bool paused, closed;
    TAILQ_ENTRY(ros2_listener) link;

    /* Over tcp, see oob.c. */
    int fd;
    bool watched;     /* events of it are asked for */
    uint64_t number;  /* what they are told by */
    uint64_t rest_ns; /* until then it does not accept; 0: it does */

    /* Of a device, see cm.c. */
    ucp_listener_h ucp;
    STAILQ_HEAD(, ucx_asker) askers;
    unsigned asker_count;
};

int ucx_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p);
int ucx_listener_address(struct ros2_listener *listener, char *buf, size_t len);
void ucx_listener_pause(struct ros2_listener *listener, int paused);
void ucx_listener_close(struct ros2_listener *listener);

/* -- for the other files -- */

/* Whether progress() has somebody to accept. */
bool ucx_listener_busy(const struct ros2_listener *listener);
/* Makes endpoints for those who asked; returns how many. */
int ucx_listener_progress(struct ros2_listener *listener);
/* ep has greeted: its user hears of it. */
void ucx_listener_accepted(struct ros2_ep *ep);

#endif
