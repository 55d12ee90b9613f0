/* SPDX-License-Identifier: Apache-2.0 */
/* An operation that could not be done at once goes to the ring or to the pool and comes back here. Always holds:
 * in_flight counts the operations whose done() has not run; it never exceeds depth. */
#include "config.h"

#include "engines/posix/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DEPTH_MAX 4096 /* far below what a ring may have */

static void run_in_worker(struct ros2i_work *work)
{
    struct ros2i_op *op = (struct ros2i_op *)work;
    struct ros2_io_context *context = op->context;
    ros2i_op_run_blocking(op);
    ros2i_finished_push(&context->finished, work);
}

static struct ros2i_strand *strand_of(const struct ros2_node *node)
{
    uint64_t h =
        (node->ino ^ node->dev << 32) * 0x9e3779b97f4a7c15ull; /* spreads consecutive inodes */
    return &node->engine->strands[h >> 32 & (ROS2I_POSIX_STRANDS - 1)];
}

static void start_in_pool(struct ros2_io_context *context, struct ros2i_op *op)
{
    op->work.run = run_in_worker;
    if (op->kind == ROS2I_OP_APPEND)
        ros2i_strand_submit(strand_of(op->node), &op->work);
    else
        ros2i_pool_submit(context->engine->pool, &op->work);
}

static bool goes_to_ring(const struct ros2_io_context *context, const struct ros2i_op *op)
{
    return context->ring && op->kind != ROS2I_OP_APPEND;
}

void ros2i_context_start(struct ros2_io_context *context, struct ros2i_op *op)
{
    context->in_flight++;
    if (goes_to_ring(context, op))
        ros2i_namespace_let_wait(op->node);
    if (!goes_to_ring(context, op) || !ros2i_ring_queue(context->ring, op))
        start_in_pool(context, op);
}

static void finish(struct ros2_io_context *context, struct ros2i_op *op)
{
    struct ros2_io *io = ros2i_op_io(op);
    context->in_flight--;
    io->done(io);
}

static int reap_ring(struct ros2_io_context *context)
{
    struct ros2i_op *op;
    int result;
    int ended = 0;

    while (context->ring && ros2i_ring_next(context->ring, &op, &result)) {
        if (result == -EAGAIN) {
            start_in_pool(context, op); /* this file cannot do it without waiting: a thread can */
        } else if (ros2i_op_advance(op, result)) {
            finish(context, op);
            ended++;
        } else if (!ros2i_ring_queue(context->ring, op)) {
            start_in_pool(context, op);
        }
    }
    return ended;
}

static int reap_pool(struct ros2_io_context *context)
{
    int ended = 0;
    struct ros2i_work *work = ros2i_finished_take(&context->finished);
    while (work) {
        struct ros2i_work *next = work->next; /* done() may use the io again */
        finish(context, (struct ros2i_op *)work);
        work = next;
        ended++;
    }
    return ended;
}

/* Two submits: the first brings results sooner, the second keeps a caller that sleeps now from leaving behind what
 * done() has queued. Neither costs a system call when nothing is queued. */
int ros2i_context_poll(struct ros2_io_context *context)
{
    if (context->ring)
        ros2i_ring_submit(context->ring);
    int ended = reap_ring(context) + reap_pool(context);
    if (context->ring)
        ros2i_ring_submit(context->ring);
    /* The owner may go to sleep now, with nothing in the kernel that would wake it. */
    if (context->ring && ros2i_ring_is_behind(context->ring))
        ros2i_finished_nudge(&context->finished);
    return ended;
}

int ros2i_context_fd(struct ros2_io_context *context)
{
    return context->fd;
}

/* One descriptor for both ways home. The ring's own is readable exactly while it holds completions: unlike an eventfd
 * that the kernel writes, it needs no read() to be quiet again. */
static int open_fd(struct ros2_io_context *context)
{
    struct epoll_event event = {.events = EPOLLIN};

    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (epoll_ctl(fd, EPOLL_CTL_ADD, context->finished.fd, &event) < 0 ||
        epoll_ctl(fd, EPOLL_CTL_ADD, ros2i_ring_fd(context->ring), &event) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* A ring may be refused here although the engine's probe got one: memory limits, descriptors. */
static int open_ring(struct ros2_io_context *context)
{
    struct ros2_engine *engine = context->engine;
    if (!engine->ring)
        return 0;
    int rc = ros2i_ring_open(context->depth, &context->ring);
    if (rc < 0 && engine->io == ROS2I_IO_URING)
        return rc;
    if (rc < 0 && !atomic_exchange(&engine->ring_loss_logged, true))
        engine->host->log(ROS2_LOG_WARN, ROS2I_POSIX_OUTLET,
                          "io_uring refused, reads by threads: depth %u cause %s", context->depth,
                          strerrorname_np(-rc));
    return 0;
}

int ros2i_context_open(struct ros2_engine *engine, unsigned depth,
                       struct ros2_io_context **context_p)
{
    if (depth == 0 || depth > DEPTH_MAX)
        return engine->host->fail(EINVAL, "engine posix: depth %u is not in 1..%d", depth,
                                  DEPTH_MAX);

    struct ros2_io_context *context = calloc(1, sizeof(*context));
    if (!context)
        return engine->host->fail(ENOMEM, "engine posix: out of memory");
    context->engine = engine;
    context->depth = depth;
    int rc = ros2i_finished_init(&context->finished);
    if (rc < 0)
        goto free_context;
    rc = open_ring(context);
    if (rc < 0)
        goto fini_finished;
    rc = context->ring ? open_fd(context) : context->finished.fd;
    if (rc < 0)
        goto close_ring;
    context->fd = rc;
    *context_p = context;
    return 0;

close_ring:
    ros2i_ring_close(context->ring);
fini_finished:
    ros2i_finished_fini(&context->finished);
free_context:
    free(context);
    return engine->host->fail(-rc, "engine posix: I/O context of depth %u: %s", depth,
                              strerrordesc_np(-rc));
}

void ros2i_context_close(struct ros2_io_context *context)
{
    if (context->ring) {
        close(context->fd);
        ros2i_ring_close(context->ring);
    }
    ros2i_finished_fini(&context->finished);
    free(context);
}
