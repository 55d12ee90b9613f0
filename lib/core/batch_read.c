/* SPDX-License-Identifier: Apache-2.0 */
/* A batch's data: all small reads are one operation of many extents, each large one an operation of its own, and all are in
 * flight at once on the calling thread's queue. None of them is left when this returns. */
#include "config.h"

#include "lib/core/batch.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/core/implicit.h"
#include "lib/data/vector.h"

/* Above, a READ of its own lands in the caller's buffer without a copy, and costs little for what it brings. */
#define SMALL_MAX (64u << 10)

struct reading {
    struct ros2i_batch *batch;
    struct ros2i_op vector;
    struct ros2i_vector_item *small; /* vector's extents */
    size_t *small_item;              /* the batch's item that each is of */
    size_t small_count;
    struct ros2i_op *large;
    size_t *large_item;
    size_t large_count;
    bool enough;      /* min_done items have ended */
    size_t submitted; /* operations, in the order vector (if there are small ones), large */
};

static bool is_small(const struct ros2i_batch_unit *unit)
{
    return unit->len <= SMALL_MAX;
}

static int allocate(struct reading *r)
{
    const struct ros2i_batch *batch = r->batch;
    size_t small = 0, large = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->unit[i].ended)
            continue;
        small += is_small(&batch->unit[i]);
        large += !is_small(&batch->unit[i]);
    }
    r->small = calloc(small + 1, sizeof(*r->small));
    r->large = malloc((large + 1) * sizeof(*r->large));
    r->small_item = malloc((small + large + 1) * sizeof(*r->small_item));
    if (!r->small || !r->large || !r->small_item)
        return ros2i_fail(ENOMEM, "out of memory");
    r->large_item = r->small_item + small;
    return 0;
}

static void add_small(struct reading *r, size_t i)
{
    const struct ros2_batch_item *item = &r->batch->item[i];
    r->small_item[r->small_count] = i;
    r->small[r->small_count++] = (struct ros2i_vector_item){.handle = r->batch->unit[i].handle,
                                                            .offset = item->offset,
                                                            .buf = item->buf,
                                                            .len = (uint32_t)r->batch->unit[i].len};
}

static void init_read(struct ros2i_op *op, const struct ros2i_batch *batch, size_t i, size_t from)
{
    const struct ros2_batch_item *item = &batch->item[i];
    ros2i_op_init(op, ROS2I_OP_READ, batch->unit[i].handle);
    op->buf = (char *)item->buf + from;
    op->len = batch->unit[i].len - from;
    op->offset = item->offset + from;
    op->deadline_ns = batch->deadline_ns;
}

static void fill(struct reading *r)
{
    struct ros2i_batch *batch = r->batch;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->unit[i].ended)
            continue;
        if (is_small(&batch->unit[i])) {
            add_small(r, i);
        } else {
            r->large_item[r->large_count] = i;
            init_read(&r->large[r->large_count++], batch, i, 0);
        }
    }
    ros2i_op_init(&r->vector, ROS2I_OP_READV, 0);
    r->vector.items = r->small;
    r->vector.len = r->small_count;
    r->vector.deadline_ns = batch->deadline_ns;
}

static struct ros2i_op *operation(struct reading *r, size_t k)
{
    size_t vectors = r->small_count > 0;
    return k < vectors ? &r->vector : &r->large[k - vectors];
}

static size_t operations(const struct reading *r)
{
    return (r->small_count > 0) + r->large_count;
}

/* -- waiting -- */

/* Called while nobody changes an operation. */
static bool is_enough(void *arg)
{
    struct reading *r = arg;
    size_t ended = r->batch->ended + r->vector.ended;
    for (size_t k = 0; k < r->large_count && ended < r->batch->min_done; k++)
        ended += r->large[k].phase == ROS2I_OP_DONE;
    r->enough = ended >= r->batch->min_done;
    return r->enough;
}

static void wait_all(struct reading *r)
{
    struct ros2i_batch *batch = r->batch;
    bool some = batch->min_done < batch->count;
    for (size_t k = 0; some && k < r->submitted && !r->enough; k++)
        ros2i_queue_wait_for(batch->queue, operation(r, k), is_enough, r);
    for (size_t k = 0; r->enough && k < r->submitted; k++)
        if (operation(r, k)->phase != ROS2I_OP_DONE)
            ros2i_queue_cancel(batch->queue, operation(r, k));
    for (size_t k = 0; k < r->submitted; k++)
        ros2i_queue_wait(batch->queue, operation(r, k));
}

/* -- results -- */

/* Its request was cut down to the daemon's max_io, which is less than SMALL_MAX: asks for the rest. */
static int64_t read_rest(struct ros2i_batch *batch, size_t i, size_t from)
{
    struct ros2i_op op;
    init_read(&op, batch, i, from);
    int64_t n = ros2i_implicit_run(batch->client, &op);
    return n < 0 ? n : n + (int64_t)from;
}

static void take_small(struct reading *r, size_t k)
{
    struct ros2i_batch *batch = r->batch;
    size_t i = r->small_item[k];
    const struct ros2i_vector_item *small = &r->small[k];
    int64_t result = small->result;
    const char *text = NULL;
    if (result == small->len && small->len < batch->unit[i].len) {
        result = read_rest(batch, i, small->len);
        text = ros2i_error();
    } else if (result == -ETIMEDOUT || result == -ECANCELED || result == -EIO) {
        text = r->vector.text[0] ? r->vector.text : NULL;
    }
    if (result < 0 && !text)
        text = ros2i_strerror((int)-result);
    ros2i_batch_end(batch, i, result, text);
}

static void take_results(struct reading *r)
{
    for (size_t k = 0; k < r->small_count; k++)
        take_small(r, k);
    for (size_t k = 0; k < r->large_count; k++)
        ros2i_batch_end(r->batch, r->large_item[k], r->large[k].result, r->large[k].text);
}

static void fail_rest(struct ros2i_batch *batch, int rc)
{
    const char *text = ros2i_error();
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->unit[i].ended)
            ros2i_batch_end(batch, i, rc, text);
}

static int transfer(struct reading *r)
{
    struct ros2i_batch *batch = r->batch;
    int rc = allocate(r);
    if (rc == 0)
        rc = ros2i_client_enter(batch->client, batch->deadline_ns);
    if (rc < 0)
        return rc;
    fill(r);
    while (rc == 0 && r->submitted < operations(r)) {
        rc = ros2i_queue_submit(batch->queue, operation(r, r->submitted));
        r->submitted += rc == 0;
    }
    wait_all(r); /* also after a failure: those that are out use the buffers */
    if (rc < 0)
        return ros2i_fail(-rc, "out of memory");
    for (size_t k = 0; k < r->small_count; k += r->small[k].piece ? r->small[k].piece : 1) {
        batch->requests++;
        batch->later += r->small[k].later;
    }
    batch->requests += (unsigned)r->large_count;
    take_results(r);
    return 0;
}

void ros2i_batch_transfer(struct ros2i_batch *batch)
{
    struct reading r; /* not zeroed: the operation's text is long */
    if (batch->ended == batch->count)
        return;
    r.batch = batch;
    r.enough = false;
    r.small = NULL;
    r.large = NULL;
    r.small_item = r.large_item = NULL;
    r.small_count = r.large_count = r.submitted = 0;
    int rc = transfer(&r);
    if (rc < 0)
        fail_rest(batch, rc);
    free(r.small);
    free(r.large);
    free(r.small_item);
}
