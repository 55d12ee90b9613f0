/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that wait for credits of the peer, in order, as copies. */
#ifndef OFI_BACKLOG_H
#define OFI_BACKLOG_H

#include <stdbool.h>

#include "ros2/transport.h"

/* owner: the domain's thread. Its memory is made when the first message has to wait, then kept. */
struct ofi_backlog {
    uint8_t *bytes;
    size_t cap, head, tail;
    uint32_t sent; /* bytes of the first message that have left */
};

struct ofi_waiting {
    const uint8_t *bytes; /* what is left of it */
    uint32_t len;
    struct ros2_op *op; /* or NULL */
};

void ofi_backlog_fini(struct ofi_backlog *backlog);
static inline bool ofi_backlog_empty(const struct ofi_backlog *backlog)
{
    return backlog->head == backlog->tail;
}
/* Whether a message of len bytes has room, where limit bytes may wait; an empty one takes any message. */
bool ofi_backlog_fits(const struct ofi_backlog *backlog, size_t limit, size_t len);
/* Copies a message behind the others. 0 or -ENOMEM. */
int ofi_backlog_add(struct ofi_backlog *backlog, const struct iovec *iov, int iovcnt, size_t len,
                    struct ros2_op *op);
/* The oldest, which must exist. */
struct ofi_waiting ofi_backlog_first(const struct ofi_backlog *backlog);
/* Takes an op from the messages, which stay; NULL: none has one. */
struct ros2_op *ofi_backlog_take_op(struct ofi_backlog *backlog);
/* len bytes of the oldest have left; all: it is forgotten. */
void ofi_backlog_sent(struct ofi_backlog *backlog, uint32_t len, bool all);

#endif
