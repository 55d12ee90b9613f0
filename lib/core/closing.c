/* SPDX-License-Identifier: Apache-2.0 */
/* A CLOSE that is under way: an operation without anybody who waits. Owner: the queue's thread while it is submitted; else it is
 * in client->unclosed, a stack that any thread may push to, also with client->lock held, and that is only ever taken whole. */
#include "config.h"

#include "lib/core/closing.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/protocol/wire.h"

/* A call that has lost its data channel may take as much longer. */
#define CONTROL_NS (500 * ROS2I_NS_PER_MS)

struct ros2i_closing {
    struct ros2i_op op; /* first: done() gets it */
    struct ros2_client *client;
    struct ros2i_closing *next; /* in client->unclosed */
    uint32_t count, room;
    uint8_t handles[]; /* as on the wire */
};

int ros2i_closing_create(struct ros2_client *client, size_t count, struct ros2i_closing **closing_p)
{
    struct ros2i_closing *closing = malloc(sizeof(*closing) + 8 * count);

    assert(count >= 1 && count <= ROS2I_WIRE_CLOSES_MAX);
    if (!closing)
        return ros2i_fail(ENOMEM, "out of memory");
    closing->client = client;
    closing->count = 0;
    closing->room = (uint32_t)count;
    *closing_p = closing;
    return 0;
}

void ros2i_closing_add(struct ros2i_closing *closing, uint64_t handle)
{
    assert(closing->count < closing->room);
    ros2i_close_put(closing->handles, closing->count++, handle);
}

static void push(struct ros2i_closing *closing)
{
    _Atomic(struct ros2i_closing *) *top = &closing->client->unclosed;

    closing->next = atomic_load_explicit(top, memory_order_relaxed);
    /* Release: who takes the stack (acquire) sees what is in it. */
    while (!atomic_compare_exchange_weak_explicit(top, &closing->next, closing,
                                                  memory_order_release, memory_order_relaxed))
        ;
}

static void on_done(struct ros2i_op *op)
{
    struct ros2i_closing *closing = (struct ros2i_closing *)op;

    if (op->result == 0) {
        free(closing);
        return;
    }
    ros2i_log(ROS2_LOG_INFO, "core",
              "close of %u files is not acknowledged, will be tried again: %s", closing->count,
              op->text);
    push(closing);
}

static void submit(struct ros2i_queue *queue, struct ros2i_closing *closing)
{
    struct ros2i_op *op = &closing->op;

    ros2i_op_init(op, ROS2I_OP_CLOSE, 0);
    op->handles = closing->handles;
    op->handle_count = closing->count;
    op->deadline_ns = ros2i_client_deadline(closing->client);
    op->done = on_done;
    if (ros2i_queue_detach(queue, op) < 0)
        push(closing);
}

/* The data channel is lost, and it may be long before anybody drives the queue to have it made again. */
static void close_by_control(struct ros2i_closing *closing)
{
    uint64_t handle[ROS2I_WIRE_CLOSES_MAX]; /* 32 KiB, where something went wrong */

    for (uint32_t i = 0; i < closing->count; i++)
        handle[i] = ros2i_close_get(closing->handles, i);
    if (ros2i_control_close_many(closing->client->control, handle, closing->count, NULL,
                                 ros2i_now_ns() + CONTROL_NS) < 0)
        push(closing);
    else
        free(closing);
}

static void start(struct ros2i_queue *queue, struct ros2i_closing *closing)
{
    if (closing->count == 0)
        free(closing);
    else if (ros2i_queue_is_ready(queue))
        submit(queue, closing);
    else
        close_by_control(closing);
}

void ros2i_closing_start(struct ros2i_queue *queue, struct ros2i_closing *closing)
{
    struct ros2i_closing *next =
        atomic_exchange_explicit(&closing->client->unclosed, NULL, memory_order_acquire);

    start(queue, closing);
    while (next) {
        struct ros2i_closing *again = next;
        next = again->next;
        start(queue, again);
    }
    /* One that was submitted earlier and lost its connection gets on only when somebody drives the queue. */
    ros2i_queue_poll(queue, &(struct ros2i_wait){0});
}

void ros2i_closing_forget(struct ros2_client *client)
{
    struct ros2i_closing *next = atomic_exchange(&client->unclosed, NULL);

    while (next) {
        struct ros2i_closing *closing = next;
        next = closing->next;
        free(closing);
    }
}
