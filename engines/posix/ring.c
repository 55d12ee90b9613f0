/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring by liburing. Always holds: at most depth operations are queued or in the kernel, so neither the submission
 * nor the completion ring (twice as large) can overflow. */
#include "config.h"

#include "engines/posix/ring.h"

#include <errno.h>
#include <stdlib.h>

#include "engines/posix/file.h"

#ifdef HAVE_LIBURING

#include <liburing.h>

struct ros2i_ring {
    struct io_uring uring;
    bool unsubmitted;
};

static int supports_our_ops(struct io_uring *uring)
{
    struct io_uring_probe *probe =
        io_uring_get_probe_ring(uring); /* NULL before Linux 5.6: no plain read either */
    if (!probe)
        return -ENOSYS;
    bool all = io_uring_opcode_supported(probe, IORING_OP_READ) &&
               io_uring_opcode_supported(probe, IORING_OP_WRITE) &&
               io_uring_opcode_supported(probe, IORING_OP_FSYNC);
    io_uring_free_probe(probe);
    return all ? 0 : -ENOSYS;
}

int ros2i_ring_probe(void)
{
    struct io_uring uring;
    int rc = io_uring_queue_init(2, &uring, 0);
    if (rc < 0)
        return rc;
    rc = supports_our_ops(&uring);
    io_uring_queue_exit(&uring);
    return rc;
}

int ros2i_ring_open(unsigned depth, struct ros2i_ring **ring_p)
{
    struct ros2i_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    int rc = io_uring_queue_init(depth, &ring->uring, 0);
    if (rc < 0) {
        free(ring);
        return rc;
    }
    *ring_p = ring;
    return 0;
}

void ros2i_ring_close(struct ros2i_ring *ring)
{
    io_uring_queue_exit(&ring->uring);
    free(ring);
}

int ros2i_ring_fd(const struct ros2i_ring *ring)
{
    return ring->uring.ring_fd;
}

bool ros2i_ring_queue(struct ros2i_ring *ring, struct ros2i_op *op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (!sqe)
        return false;
    unsigned left = (unsigned)(op->len - op->moved); /* len is at most 2^30 */
    size_t read_len;
    int fd;
    switch ((enum ros2i_op_kind)op->kind) {
    case ROS2I_OP_READ:
        fd = ros2i_op_read_step(op, &read_len);
        io_uring_prep_read(sqe, fd, op->buf + op->moved, (unsigned)read_len,
                           op->offset + op->moved);
        break;
    case ROS2I_OP_WRITE:
    case ROS2I_OP_APPEND:
        io_uring_prep_write(sqe, op->node->fd, op->buf + op->moved, left, op->offset + op->moved);
        break;
    case ROS2I_OP_FSYNC:
        io_uring_prep_fsync(sqe, op->node->fd, op->datasync ? IORING_FSYNC_DATASYNC : 0);
        break;
    }
    io_uring_sqe_set_data(sqe, op);
    ring->unsubmitted = true;
    return true;
}

void ros2i_ring_submit(struct ros2i_ring *ring)
{
    if (!ring->unsubmitted)
        return;
    /* An error (-EAGAIN, -EBUSY: short of memory; -EINTR) leaves the rest queued for the next poll, which the context
     * brings about. */
    io_uring_submit(&ring->uring);
    ring->unsubmitted = io_uring_sq_ready(&ring->uring) > 0;
}

bool ros2i_ring_is_behind(const struct ros2i_ring *ring)
{
    return ring->unsubmitted;
}

bool ros2i_ring_next(struct ros2i_ring *ring, struct ros2i_op **op_p, int *result_p)
{
    struct io_uring_cqe *cqe;
    if (io_uring_peek_cqe(&ring->uring, &cqe) != 0)
        return false;
    *op_p = io_uring_cqe_get_data(cqe);
    *result_p = cqe->res;
    io_uring_cqe_seen(&ring->uring, cqe);
    return true;
}

#else

int ros2i_ring_probe(void)
{
    return -ENOSYS;
}

int ros2i_ring_open(unsigned depth, struct ros2i_ring **ring_p)
{
    (void)depth;
    (void)ring_p;
    return -ENOSYS;
}

void ros2i_ring_close(struct ros2i_ring *ring)
{
    (void)ring;
}

int ros2i_ring_fd(const struct ros2i_ring *ring)
{
    (void)ring;
    return -1;
}

bool ros2i_ring_queue(struct ros2i_ring *ring, struct ros2i_op *op)
{
    (void)ring;
    (void)op;
    return false;
}

void ros2i_ring_submit(struct ros2i_ring *ring)
{
    (void)ring;
}

bool ros2i_ring_is_behind(const struct ros2i_ring *ring)
{
    (void)ring;
    return false;
}

bool ros2i_ring_next(struct ros2i_ring *ring, struct ros2i_op **op_p, int *result_p)
{
    (void)ring;
    (void)op_p;
    (void)result_p;
    return false;
}

#endif
