/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing: what can be judged without the daemon is judged here, and nothing is prepared then. Owner: the queue's. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/core/async.h"
#include "lib/core/file.h"
#include "lib/core/file_op.h"
#include "lib/core/path.h"

#define DAY_NS (86400 * ROS2I_NS_PER_S)

/* The task that is used next; nothing is changed. */
static int next_task(struct ros2_queue *queue, uint64_t timeout_ns, struct ros2i_task **task_p)
{
    int rc = ros2i_async_enter(queue);
    if (rc < 0)
        return rc;
    if (timeout_ns > DAY_NS)
        return ros2i_fail(EINVAL, "timeout_ns %llu is above one day",
                          (unsigned long long)timeout_ns);
    if (!queue->free)
        return ros2i_fail(
            EAGAIN,
            "the queue's depth of %u is used up (%u are prepared, %u in flight or not "
            "reaped); submit, reap and prepare again",
            queue->depth, queue->prepared.count, queue->out);
    *task_p = queue->free;
    return 0;
}

static int commit(struct ros2_queue *queue, uint32_t kind, uint64_t user_data, uint64_t timeout_ns)
{
    struct ros2i_task *task = queue->free;
    queue->free = task->next;
    task->kind = kind;
    task->user_data = user_data;
    task->timeout_ns = timeout_ns;
    task->place = ROS2I_TASK_PREPARED;
    task->begun = task->answered = task->over = false;
    task->queue_ns = task->network_ns = task->engine_ns = 0;
    atomic_store_explicit(&task->cancel, false, memory_order_relaxed);
    ros2i_task_push(&queue->prepared, task);
    return 0;
}

/* -- one buffer -- */

static int prepare_transfer(struct ros2_queue *queue, uint32_t kind, struct ros2_file *file,
                            const void *buf, size_t len, uint64_t offset, uint64_t user_data,
                            uint64_t timeout_ns)
{
    enum ros2i_op_kind op_kind = kind == ROS2_QUEUE_READ ? ROS2I_OP_READ : ROS2I_OP_WRITE;
    struct ros2i_task *task;
    int rc = next_task(queue, timeout_ns, &task);
    if (rc == 0)
        rc = ros2i_file_op_check(file, op_kind, !buf, len, offset);
    if (rc < 0)
        return rc;
    ros2i_file_op_transfer(&task->op, file, op_kind, buf, len, offset);
    task->file = file;
    task->parted = false;
    return commit(queue, kind, user_data, timeout_ns);
}

int ros2_prepare_read(struct ros2_queue *queue, struct ros2_file *file, void *buf, size_t len,
                      uint64_t offset, uint64_t user_data, uint64_t timeout_ns)
{
    int rc =
        prepare_transfer(queue, ROS2_QUEUE_READ, file, buf, len, offset, user_data, timeout_ns);
    return rc < 0 ? ros2i_fail_prefix(rc, "prepare read %s", file->path) : 0;
}

int ros2_prepare_write(struct ros2_queue *queue, struct ros2_file *file, const void *buf,
                       size_t len, uint64_t offset, uint64_t user_data, uint64_t timeout_ns)
{
    int rc =
        prepare_transfer(queue, ROS2_QUEUE_WRITE, file, buf, len, offset, user_data, timeout_ns);
    return rc < 0 ? ros2i_fail_prefix(rc, "prepare write %s", file->path) : 0;
}

/* -- vectors -- */

static int check_vector(const struct iovec *iov, int iovcnt, bool *no_buffer_p, size_t *total_p)
{
    size_t total = 0;
    *no_buffer_p = false;
    if (iovcnt < 0 || iovcnt > ROS2_QUEUE_IOV_MAX)
        return ros2i_fail(EINVAL, "%d buffers; 0 to %d are allowed", iovcnt, ROS2_QUEUE_IOV_MAX);
    if (!iov && iovcnt > 0)
        return ros2i_fail(EFAULT, "the vector is NULL");
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > (size_t)SSIZE_MAX - total)
            return ros2i_fail(EINVAL, "the buffers are longer together than SSIZE_MAX");
        total += iov[i].iov_len;
        *no_buffer_p = *no_buffer_p || (!iov[i].iov_base && iov[i].iov_len > 0);
    }
    *total_p = total;
    return 0;
}

/* Room for iovcnt buffers; what there was is kept for ever larger vectors. */
static struct iovec *reserve(struct ros2i_vector *vector, unsigned iovcnt)
{
    if (iovcnt <= ROS2I_VECTOR_INLINE)
        return vector->few;
    if (iovcnt <= vector->capacity)
        return vector->more;
    free(vector->more);
    vector->capacity = 0;
    vector->more = calloc(iovcnt, sizeof(*vector->more));
    if (vector->more)
        vector->capacity = iovcnt;
    return vector->more;
}

/* Without the empty ones, and with those joined that lie end to end. */
static int copy_vector(struct ros2i_vector *vector, const struct iovec *iov, int iovcnt)
{
    struct iovec *to = reserve(vector, (unsigned)iovcnt);
    unsigned count = 0;
    if (!to)
        return ros2i_fail(ENOMEM, "no memory for %d buffers", iovcnt);
    for (int i = 0; i < iovcnt; i++) {
        bool joins = count > 0 && (char *)to[count - 1].iov_base + to[count - 1].iov_len ==
                                      (char *)iov[i].iov_base;
        if (iov[i].iov_len == 0)
            continue;
        if (joins)
            to[count - 1].iov_len += iov[i].iov_len;
        else
            to[count++] = iov[i];
    }
    if (to != vector->few && count <= ROS2I_VECTOR_INLINE)
        memcpy(vector->few, to, count * sizeof(*to)); /* count says where they are */
    vector->count = count;
    vector->next = 0;
    return 0;
}

/* An append of several buffers has to be one request, or others' appends come between. */
static int gather(struct ros2i_vector *vector, size_t total)
{
    const struct iovec *iov = vector->count <= ROS2I_VECTOR_INLINE ? vector->few : vector->more;
    vector->gathered = malloc(total);
    if (!vector->gathered)
        return ros2i_fail(ENOMEM, "no memory to gather %zu bytes to append", total);
    char *to = vector->gathered;
    for (unsigned i = 0; i < vector->count; i++) {
        memcpy(to, iov[i].iov_base, iov[i].iov_len);
        to += iov[i].iov_len;
    }
    return 0;
}

/* How the buffers go out. *buf_p: all of them in one piece; NULL: in parts. */
static int arrange(struct ros2_queue *queue, struct ros2i_vector *vector, bool append, size_t total,
                   const void **buf_p)
{
    *buf_p = NULL;
    if (vector->count == 1)
        *buf_p = vector->few[0].iov_base;
    if (vector->count <= 1)
        return 0;
    if (append && total <= queue->client->session.max_io) {
        int rc = gather(vector, total);
        *buf_p = vector->gathered;
        return rc;
    }
    if (!vector->part)
        vector->part = calloc(ROS2I_VECTOR_WINDOW, sizeof(*vector->part));
    return vector->part ? 0 : ros2i_fail(ENOMEM, "no memory for a vector");
}

static int prepare_vector(struct ros2_queue *queue, uint32_t kind, struct ros2_file *file,
                          const struct iovec *iov, int iovcnt, uint64_t offset, uint64_t user_data,
                          uint64_t timeout_ns)
{
    enum ros2i_op_kind op_kind = kind == ROS2_QUEUE_READV ? ROS2I_OP_READ : ROS2I_OP_WRITE;
    bool append = op_kind == ROS2I_OP_WRITE && file->append, no_buffer = false;
    struct ros2i_task *task;
    const void *buf = NULL;
    size_t total = 0;
    int rc = next_task(queue, timeout_ns, &task);
    if (rc == 0)
        rc = check_vector(iov, iovcnt, &no_buffer, &total);
    if (rc == 0)
        rc = ros2i_file_op_check(file, op_kind, no_buffer, total, offset);
    if (rc == 0)
        rc = copy_vector(&task->vector, iov, iovcnt);
    if (rc == 0)
        rc = arrange(queue, &task->vector, append, total, &buf);
    if (rc < 0)
        return rc;
    ros2i_file_op_transfer(&task->op, file, op_kind, buf, total, offset);
    task->file = file;
    task->parted = !buf && total > 0;
    return commit(queue, kind, user_data, timeout_ns);
}

int ros2_prepare_readv(struct ros2_queue *queue, struct ros2_file *file, const struct iovec *iov,
                       int iovcnt, uint64_t offset, uint64_t user_data, uint64_t timeout_ns)
{
    int rc =
        prepare_vector(queue, ROS2_QUEUE_READV, file, iov, iovcnt, offset, user_data, timeout_ns);
    return rc < 0 ? ros2i_fail_prefix(rc, "prepare readv %s", file->path) : 0;
}

int ros2_prepare_writev(struct ros2_queue *queue, struct ros2_file *file, const struct iovec *iov,
                        int iovcnt, uint64_t offset, uint64_t user_data, uint64_t timeout_ns)
{
    int rc =
        prepare_vector(queue, ROS2_QUEUE_WRITEV, file, iov, iovcnt, offset, user_data, timeout_ns);
    return rc < 0 ? ros2i_fail_prefix(rc, "prepare writev %s", file->path) : 0;
}

/* -- sync, names -- */

int ros2_prepare_fsync(struct ros2_queue *queue, struct ros2_file *file, unsigned flags,
                       uint64_t user_data, uint64_t timeout_ns)
{
    struct ros2i_task *task;
    int rc = next_task(queue, timeout_ns, &task);
    if (rc == 0 && (flags & ~ROS2_FSYNC_DATASYNC))
        rc = ros2i_fail(EINVAL, "flags 0x%x are not known", flags & ~ROS2_FSYNC_DATASYNC);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "prepare fsync %s", file->path);
    task->file = file;
    task->open_flags = flags & ROS2_FSYNC_DATASYNC ? ROS2I_OP_DATASYNC : 0;
    task->parted = false;
    return commit(queue, ROS2_QUEUE_FSYNC, user_data, timeout_ns);
}

/* A control task's result, text and path are in the same places as those of others. */
static int set_path(struct ros2i_task *task, const char *path)
{
    ros2i_op_init(&task->op, ROS2I_OP_PING, 0);
    task->path = strdup(path);
    return task->path ? 0 : ros2i_fail(ENOMEM, "out of memory");
}

static int prepare_open(struct ros2_queue *queue, const char *path, int flags, mode_t mode,
                        uint64_t user_data, uint64_t timeout_ns)
{
    struct ros2i_path resolved;
    struct ros2i_task *task;
    unsigned open_flags;
    int rc = next_task(queue, timeout_ns, &task);
    if (rc == 0)
        rc = ros2i_file_open_args(path, flags, &resolved, &open_flags);
    if (rc == 0)
        rc = ros2i_file_create(queue->client, resolved.text, &task->file);
    if (rc < 0)
        return rc;
    rc = set_path(task, resolved.text);
    if (rc < 0) {
        ros2i_file_free(task->file);
        task->file = NULL;
        return rc;
    }
    task->open_flags = open_flags;
    task->mode = mode & 07777;
    return commit(queue, ROS2_QUEUE_OPEN, user_data, timeout_ns);
}

int ros2_prepare_open(struct ros2_queue *queue, const char *path, int flags, mode_t mode,
                      uint64_t user_data, uint64_t timeout_ns)
{
    int rc = prepare_open(queue, path, flags, mode, user_data, timeout_ns);
    return rc < 0 ? ros2i_fail_prefix(rc, "prepare open %s", path ? path : "(null)") : 0;
}

int ros2_prepare_stat(struct ros2_queue *queue, const char *path, struct stat *st,
                      uint64_t user_data, uint64_t timeout_ns)
{
    struct ros2i_path resolved;
    struct ros2i_task *task;
    int rc = next_task(queue, timeout_ns, &task);
    if (rc == 0)
        rc = ros2i_path_resolve(path, &resolved);
    if (rc == 0 && !st)
        rc = ros2i_fail(EFAULT, "st is NULL");
    if (rc == 0)
        rc = set_path(task, resolved.text);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "prepare stat %s", path ? path : "(null)");
    task->st = st;
    task->directory = resolved.directory;
    return commit(queue, ROS2_QUEUE_STAT, user_data, timeout_ns);
}

int ros2_prepare_close(struct ros2_queue *queue, struct ros2_file *file, uint64_t user_data,
                       uint64_t timeout_ns)
{
    struct ros2i_task *task;
    int rc = next_task(queue, timeout_ns, &task);
    if (rc == 0 && !file)
        rc = ros2i_fail(EFAULT, "the file is NULL");
    if (rc < 0)
        return ros2i_fail_prefix(rc, "prepare close");
    ros2i_op_init(&task->op, ROS2I_OP_PING, 0);
    task->file = file;
    return commit(queue, ROS2_QUEUE_CLOSE, user_data, timeout_ns);
}
