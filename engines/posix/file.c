/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot wait for a device is done in the calling thread, the rest elsewhere (context.c says where).
 *
 * - Reads try preadv2(RWF_NOWAIT): a hit in the page cache costs one system call and no thread switch. What is missing
 *   goes to io_uring. On tmpfs, which knows no RWF_NOWAIT and has no device, plain calls are used at once.
 * - With direct=reads, reads of whole blocks into aligned memory bypass the page cache, by io_uring or a thread. Writes never
 *   do: a block that is written in part has to be read first, which is the page cache's work. The kernel writes out what the
 *   cache has of a range before it is read directly, so both see the same bytes.
 * - Writes try pwritev2(RWF_NOWAIT), which xfs and btrfs take; ext4 refuses. Then io_uring writes: for a buffered 256 KiB
 *   overwrite (ext4, Linux 6.18, two busy cores) 39..63 us at depth 1 and 28..40 at depth 8, threads the same, the calling
 *   thread 24..36; of 4 KiB at depth 8 io_uring took 4..13 us, threads 12..18. Never plainly in the calling thread, fast
 *   as it is: with too many dirty pages the kernel makes a writer wait for the disk.
 * - Appends must report where the data went, which RWF_APPEND does not, and must not overlap although two opens of a
 *   file are two nodes. So they take turns by inode on a strand of the pool, and each writes at the size it finds.
 *   Other writers that extend the file (another daemon on the same directory) are outside of that promise. */
#include "config.h"

#include "engines/posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engines/posix/context.h"

#define LEN_MAX (1u << 30)

struct ros2_io *ros2i_op_io(struct ros2i_op *op)
{
    return (struct ros2_io *)((char *)op - offsetof(struct ros2_io, plugin));
}

bool ros2i_op_advance(struct ros2i_op *op, int64_t n)
{
    struct ros2_io *io = ros2i_op_io(op);

    if (n == -EINTR)
        return false;
    if (n == -EINVAL && op->direct_end > 0) {
        atomic_store_explicit(&op->node->direct_refused, true, memory_order_relaxed);
        op->direct_end =
            0; /* a disk with larger blocks, or a file system that takes O_DIRECT at open only */
        return false;
    }
    if (n > 0)
        op->moved += (size_t)n;
    if (n > 0 && op->moved < op->len)
        return false;
    if (n == 0 && op->kind != ROS2I_OP_READ && op->moved < op->len)
        n = -EIO; /* the kernel took nothing and says nothing: asking on would never end */
    io->result = n < 0 ? n : (int64_t)op->moved;
    return true;
}

/* Of buffer, length and offset: what all disks with blocks of up to 4 KiB take. */
#define DIRECT_ALIGN 4096u

/* Whole blocks below the end of the file: a direct read across it would change the buffer up to the end of the block. The
 * system call is little beside a read of the disk. */
static uint64_t find_direct_end(const struct ros2i_op *op)
{
    struct ros2_node *node = op->node;
    uint64_t end = op->offset + op->len;
    struct statx stx;

    if (node->direct_fd < 0 || ((uintptr_t)op->buf | op->offset) % DIRECT_ALIGN != 0 ||
        atomic_load_explicit(&node->direct_refused, memory_order_relaxed) ||
        /* Without asking a server: a size that is not of this moment only makes another part of the read direct. */
        statx(node->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx) < 0)
        return 0;
    if (end > stx.stx_size)
        end = stx.stx_size;
    end -= end % DIRECT_ALIGN;
    return end > op->offset ? end : 0;
}

int ros2i_op_read_step(const struct ros2i_op *op, size_t *len_p)
{
    uint64_t at = op->offset + op->moved;
    /* The disk may have given less than whole blocks, of a file that was cut meanwhile. */
    bool direct = at < op->direct_end && at % DIRECT_ALIGN == 0;

    *len_p = direct ? (size_t)(op->direct_end - at) : op->len - op->moved;
    return direct ? op->node->direct_fd : op->node->fd;
}

static int64_t blocking_step(const struct ros2i_op *op)
{
    char *buf =
        op->moved ? op->buf + op->moved : op->buf; /* an fsync has no buffer to count from */
    size_t left = op->len - op->moved;
    off_t at = (off_t)(op->offset + op->moved);
    ssize_t n = 0;
    int fd;

    switch ((enum ros2i_op_kind)op->kind) {
    case ROS2I_OP_READ:
        fd = ros2i_op_read_step(op, &left);
        n = pread(fd, buf, left, at);
        break;
    case ROS2I_OP_WRITE:
    case ROS2I_OP_APPEND:
        n = pwrite(op->node->fd, buf, left, at);
        break;
    case ROS2I_OP_FSYNC:
        n = op->datasync ? fdatasync(op->node->fd) : fsync(op->node->fd);
        break;
    }
    return n < 0 ? -errno : n;
}

/* Runs on the inode's strand: no other append moves the end between the look and the write. */
static int find_end(struct ros2i_op *op)
{
    struct stat st;
    if (fstat(op->node->fd, &st) < 0)
        return -errno;
    op->offset = (uint64_t)st.st_size;
    ros2i_op_io(op)->offset = op->offset;
    return op->len > INT64_MAX - op->offset ? -EFBIG : 0;
}

void ros2i_op_run_blocking(struct ros2i_op *op)
{
    int rc = op->kind == ROS2I_OP_APPEND ? find_end(op) : 0;
    if (rc < 0) {
        ros2i_op_io(op)->result = rc;
        return;
    }
    while (!ros2i_op_advance(op, blocking_step(op)))
        ;
}

static int done_at_once(struct ros2_io *io, int64_t result)
{
    io->result = result;
    return 1;
}

/* Has the first step been done here, once and for all? Rare (end of file): so a system call to be sure is cheap, and
 * some kernels gave 0 for pages that were only not there yet. */
static bool at_end(const struct ros2i_op *op)
{
    struct stat st;
    return fstat(op->node->fd, &st) == 0 && op->offset + op->moved >= (uint64_t)st.st_size;
}

/* Reads as far as memory has the data. true: op is finished. */
static bool read_without_waiting(struct ros2i_op *op)
{
    struct ros2_node *node = op->node;
    int flags = node->in_memory ? 0 : RWF_NOWAIT;

    while (!atomic_load_explicit(&node->read_waits,
                                 memory_order_relaxed)) { /* a hint: no order needed */
        struct iovec part = {.iov_base = op->buf + op->moved, .iov_len = op->len - op->moved};
        ssize_t n = preadv2(node->fd, &part, 1, (off_t)(op->offset + op->moved), flags);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
            atomic_store_explicit(&node->read_waits, true, memory_order_relaxed);
            return false;
        }
        if (n == 0 && flags && !at_end(op))
            return false;
        if (ros2i_op_advance(op, n < 0 ? -errno : n))
            return true;
    }
    return false;
}

/* Writes as far as that needs no waiting. true: op is finished. An error is not the last word (a file system may find
 * room when it may wait), so only success ends here. */
static bool write_without_waiting(struct ros2i_op *op)
{
    struct ros2_node *node = op->node;
    int flags = node->in_memory ? 0 : RWF_NOWAIT;

    while (!atomic_load_explicit(&node->write_waits, memory_order_relaxed)) {
        struct iovec part = {.iov_base = op->buf + op->moved, .iov_len = op->len - op->moved};
        ssize_t n = pwritev2(node->fd, &part, 1, (off_t)(op->offset + op->moved), flags);
        if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
            atomic_store_explicit(&node->write_waits, true, memory_order_relaxed);
        if (n <= 0)
            return false;
        if (ros2i_op_advance(op, n))
            return true;
    }
    return false;
}

static bool may_try_here(const struct ros2_engine *engine)
{
    return engine->io == ROS2I_IO_AUTO || engine->io == ROS2I_IO_NOWAIT;
}

static int check_range(size_t len, uint64_t offset)
{
    return len > LEN_MAX || offset > INT64_MAX || len > INT64_MAX - offset ? -EINVAL : 0;
}

static struct ros2i_op *op_init(struct ros2_io *io, struct ros2i_op op)
{
    struct ros2i_op *in_io = (struct ros2i_op *)io->plugin;
    *in_io = op;
    return in_io;
}

int ros2i_file_read(struct ros2_io_context *context, struct ros2_node *node, void *buf, size_t len,
                    uint64_t offset, struct ros2_io *io)
{
    if (node->directory)
        return done_at_once(io, -EISDIR);
    if (!(node->open_flags & ROS2_OPEN_READ))
        return done_at_once(io, -EBADF);
    int rc = check_range(len, offset);
    if (rc < 0 || len == 0)
        return done_at_once(io, rc);
    if (context->in_flight == context->depth)
        return -EAGAIN;
    struct ros2i_op *op = op_init(io, (struct ros2i_op){.context = context,
                                                        .node = node,
                                                        .buf = buf,
                                                        .len = len,
                                                        .offset = offset,
                                                        .kind = ROS2I_OP_READ});
    op->direct_end = find_direct_end(op);
    if (op->direct_end == 0 && may_try_here(context->engine) && read_without_waiting(op))
        return 1;
    ros2i_context_start(context, op);
    return 0;
}

/* A node opened for appending appends whatever the call says, as O_APPEND does. */
int ros2i_file_write(struct ros2_io_context *context, struct ros2_node *node, const void *buf,
                     size_t len, uint64_t offset, unsigned io_flags, struct ros2_io *io)
{
    bool append = (io_flags & ROS2_IO_APPEND) || (node->open_flags & ROS2_OPEN_APPEND);

    if (!(node->open_flags & ROS2_OPEN_WRITE))
        return done_at_once(io, -EBADF);
    int rc = check_range(len, append ? 0 : offset);
    if (rc < 0 || (len == 0 && !append))
        return done_at_once(io, rc);
    if (context->in_flight == context->depth)
        return -EAGAIN;
    struct ros2i_op *op =
        op_init(io, (struct ros2i_op){.context = context,
                                      .node = node,
                                      .buf = (char *)(uintptr_t)buf,
                                      .len = len,
                                      .offset = offset,
                                      .kind = append ? ROS2I_OP_APPEND : ROS2I_OP_WRITE});
    if (!append && may_try_here(context->engine) && write_without_waiting(op))
        return 1;
    ros2i_context_start(context, op);
    return 0;
}

int ros2i_file_fsync(struct ros2_io_context *context, struct ros2_node *node, unsigned io_flags,
                     struct ros2_io *io)
{
    if (context->in_flight == context->depth)
        return -EAGAIN;
    struct ros2i_op *op = op_init(io, (struct ros2i_op){.context = context,
                                                        .node = node,
                                                        .kind = ROS2I_OP_FSYNC,
                                                        .datasync = io_flags & ROS2_IO_DATASYNC});
    ros2i_context_start(context, op);
    return 0;
}
