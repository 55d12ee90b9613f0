/* SPDX-License-Identifier: Apache-2.0 */
/* Where connections come in. */
#ifndef OFI_LISTENER_H
#define OFI_LISTENER_H

#include "transports/address.h"
#include "transports/ofi/domain.h"

/* owner: the domain's thread. */
struct ros2_listener {
    struct ros2_domain *domain;
    struct fid_pep *pep;
    struct fid_eq *eq; /* its own: while it is paused nobody reads it */
    ros2_accept_fn *on_accept;
    void *arg;
    union ip_address local;
    bool paused, closed;
    TAILQ_ENTRY(ros2_listener) link;
};

int ofi_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p);
int ofi_listener_address(struct ros2_listener *listener, char *buf, size_t len);
void ofi_listener_pause(struct ros2_listener *listener, int paused);
void ofi_listener_close(struct ros2_listener *listener);

/* -- for the other files -- */

/* Answers those who ask, bounded; returns how many. */
int ofi_listener_progress(struct ros2_listener *listener);
/* A connection that came through it stands. Runs callbacks. */
void ofi_listener_accepted(struct ros2_ep *ep);
/* The domain's description of the provider with an address of ours (local) or a peer's in it. fi_freeinfo it. NULL: no
 * memory. */
struct fi_info *ofi_info_with_address(struct ros2_domain *domain, const union ip_address *address,
                                      bool local);

#endif
