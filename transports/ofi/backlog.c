/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of copied messages in one piece of memory. Owner: the domain's thread. Always: [head, tail) holds whole
 * records. Moving them to the front is rare: only when the end is reached, and the queue mostly runs empty. */
#include "config.h"

#include "transports/ofi/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct record {
    struct ros2_op *op;
    uint32_t len;
    uint32_t size; /* of the record, a multiple of 8 */
};

static size_t record_size(size_t len)
{
    return sizeof(struct record) + ((len + 7) & ~(size_t)7);
}

static struct record *first(const struct ofi_backlog *backlog)
{
    return (struct record *)(void *)(backlog->bytes + backlog->head);
}

void ofi_backlog_fini(struct ofi_backlog *backlog)
{
    free(backlog->bytes);
    *backlog = (struct ofi_backlog){0};
}

bool ofi_backlog_fits(const struct ofi_backlog *backlog, size_t limit, size_t len)
{
    return ofi_backlog_empty(backlog) || backlog->tail - backlog->head + record_size(len) <= limit;
}

/* Room for size bytes behind the tail. */
static int make_room(struct ofi_backlog *backlog, size_t size)
{
    size_t used = backlog->tail - backlog->head;

    if (backlog->cap - backlog->tail >= size)
        return 0;
    if (backlog->cap - used < size) {
        size_t cap = backlog->cap ? backlog->cap : 4096;
        while (cap - used < size)
            cap *= 2;
        uint8_t *bytes = realloc(backlog->bytes, cap);
        if (!bytes)
            return -ENOMEM;
        backlog->bytes = bytes;
        backlog->cap = cap;
    }
    memmove(backlog->bytes, backlog->bytes + backlog->head, used);
    backlog->head = 0;
    backlog->tail = used;
    return 0;
}

int ofi_backlog_add(struct ofi_backlog *backlog, const struct iovec *iov, int iovcnt, size_t len,
                    struct ros2_op *op)
{
    size_t size = record_size(len);
    int rc = make_room(backlog, size);

    if (rc < 0)
        return rc;
    struct record *record = (struct record *)(void *)(backlog->bytes + backlog->tail);
    *record = (struct record){.op = op, .len = (uint32_t)len, .size = (uint32_t)size};
    uint8_t *at = (uint8_t *)(record + 1);
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > 0)
            memcpy(at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    backlog->tail += size;
    return 0;
}

struct ofi_waiting ofi_backlog_first(const struct ofi_backlog *backlog)
{
    const struct record *record = first(backlog);

    return (struct ofi_waiting){
        .bytes = (const uint8_t *)(record + 1) + backlog->sent,
        .len = record->len - backlog->sent,
        .op = record->op,
    };
}

void ofi_backlog_sent(struct ofi_backlog *backlog, uint32_t len, bool all)
{
    backlog->sent += len;
    if (!all)
        return;
    backlog->head += first(backlog)->size;
    backlog->sent = 0;
    if (ofi_backlog_empty(backlog))
        backlog->head = backlog->tail = 0;
}

struct ros2_op *ofi_backlog_take_op(struct ofi_backlog *backlog)
{
    for (size_t at = backlog->head; at < backlog->tail;) {
        struct record *record = (struct record *)(void *)(backlog->bytes + at);
        struct ros2_op *op = record->op;
        record->op = NULL;
        if (op)
            return op;
        at += record->size;
    }
    return NULL;
}
