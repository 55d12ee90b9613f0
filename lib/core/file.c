/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: what POSIX says of a descriptor, on top of operations. Any thread, many at once on one file.
 *
 * Positioned calls take no lock; the file's own offset has one, held as long as the call that uses it. */
#include "config.h"

#include "lib/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/core/file_op.h"
#include "lib/core/implicit.h"
#include "lib/core/open_flags.h"
#include "lib/core/path.h"

/* -- open, close -- */

int ros2i_file_create(struct ros2_client *client, const char *path, struct ros2_file **file_p)
{
    struct ros2_file *file = calloc(1, sizeof(*file));
    char *copy = strdup(path);
    if (!file || !copy) {
        free(file);
        free(copy);
        return ros2i_fail(ENOMEM, "out of memory");
    }
    file->client = client;
    file->path = copy;
    pthread_mutex_init(&file->offset_lock, NULL);
    ros2i_unsynced_init(&file->unsynced);
    *file_p = file;
    return 0;
}

void ros2i_file_free(struct ros2_file *file)
{
    pthread_mutex_destroy(&file->offset_lock);
    ros2i_unsynced_fini(&file->unsynced);
    free(file->path);
    free(file);
}

void ros2i_file_link(struct ros2_file *file)
{
    struct ros2_client *client = file->client;
    file->prev = NULL;
    file->next = client->files;
    if (file->next)
        file->next->prev = file;
    client->files = file;
}

bool ros2i_file_unlink(struct ros2_file *file)
{
    *(file->prev ? &file->prev->next : &file->client->files) = file->next;
    if (file->next)
        file->next->prev = file->prev;
    return file->inherited;
}

void ros2i_file_opened(struct ros2_file *file, const struct ros2i_open_item *item)
{
    file->handle = item->capability.handle;
    file->readable = (item->open_flags & ROS2_OPEN_READ) != 0;
    file->writable = (item->open_flags & ROS2_OPEN_WRITE) != 0;
    file->append = (item->open_flags & ROS2_OPEN_APPEND) != 0;
    file->directory = (item->attr.mode & S_IFMT) == S_IFDIR;
}

int ros2i_file_open(struct ros2_client *client, const char *path, unsigned open_flags,
                    uint32_t mode, uint64_t deadline_ns, struct ros2_file **file_p)
{
    struct ros2_file *file = NULL;
    int rc = ros2i_file_create(client, path, &file);
    if (rc < 0)
        return rc;
    struct ros2i_open_item item = {.path = path, .open_flags = open_flags, .mode = mode};
    rc = ros2i_client_enter(client, deadline_ns);
    if (rc == 0)
        rc = ros2i_client_error(ros2i_control_open_many(client->control, &item, 1, deadline_ns));
    if (rc == 0 && item.err < 0)
        rc = ros2i_fail(-item.err, "%s",
                        item.error_text[0] ? item.error_text : ros2i_strerror(-item.err));
    if (rc < 0) {
        ros2i_file_free(file);
        return rc;
    }
    ros2i_file_opened(file, &item);
    pthread_mutex_lock(&client->lock);
    ros2i_file_link(file);
    pthread_mutex_unlock(&client->lock);
    *file_p = file;
    return 0;
}

int ros2i_file_open_args(const char *path, int flags, struct ros2i_path *resolved,
                         unsigned *open_flags_p)
{
    int rc = ros2i_open_flags(flags, open_flags_p);
    if (rc == 0)
        rc = ros2i_path_resolve(path, resolved);
    if (rc < 0)
        return rc;
    if (resolved->directory && (*open_flags_p & ROS2_OPEN_CREATE))
        return ros2i_fail(EISDIR, "a file is to be created and the path names a directory");
    if (resolved->directory)
        *open_flags_p |= ROS2_OPEN_DIRECTORY;
    return 0;
}

int ros2_open(struct ros2_client *client, const char *path, int flags, mode_t mode,
              struct ros2_file **file_p)
{
    struct ros2i_path resolved;
    unsigned open_flags;
    int rc = ros2i_file_open_args(path, flags, &resolved, &open_flags);
    if (rc == 0)
        rc = ros2i_file_open(client, resolved.text, open_flags, mode & 07777,
                             ros2i_client_deadline(client), file_p);
    return rc < 0 ? ros2i_fail_prefix(rc, "open %s", path ? path : "(null)") : 0;
}

void ros2i_file_log_close(const struct ros2_file *file, int rc, bool has_text)
{
    if (rc != 0)
        ros2i_log(ROS2_LOG_INFO, "core",
                  "close %s: not told to the daemon, the session's end closes it: %s", file->path,
                  has_text ? ros2i_error() : ros2i_strerror(rc));
}

int ros2_close(struct ros2_file *file)
{
    if (!file)
        return 0;
    struct ros2_client *client = file->client;
    pthread_mutex_lock(&client->lock);
    bool inherited = ros2i_file_unlink(file);
    pthread_mutex_unlock(&client->lock);
    /* One round trip for each close. A queue makes one message of many. */
    if (!inherited) {
        int err = 0;
        int rc = ros2i_control_close_many(client->control, &file->handle, 1, &err,
                                          ros2i_client_deadline(client));
        ros2i_file_log_close(file, rc < 0 ? rc : err, rc < 0);
    }
    ros2i_file_free(file);
    return 0;
}

void ros2i_file_after_fork(struct ros2_file *file)
{
    pthread_mutex_init(&file->offset_lock, NULL);
    pthread_mutex_init(&file->unsynced.lock, NULL);
    file->inherited = true;
}

/* -- read, write -- */

/* op is filled but for its deadline. Blocks; 0 or more is op->result. */
static int64_t run(struct ros2_file *file, struct ros2i_op *op,
                   const struct ros2i_unsynced_mark *mark)
{
    int rc = ros2i_client_enter(file->client, op->deadline_ns);
    if (rc < 0)
        return rc;
    int64_t result = ros2i_implicit_run(file->client, op);
    bool began = op->phase != ROS2I_OP_NEW;
    return began ? ros2i_file_op_conclude(op, file, mark) : result;
}

static ssize_t read_at(struct ros2_file *file, void *buf, size_t len, uint64_t offset)
{
    int rc = ros2i_file_op_check(file, ROS2I_OP_READ, !buf, len, offset);
    if (rc < 0 || len == 0)
        return rc;
    struct ros2i_op op;
    ros2i_file_op_transfer(&op, file, ROS2I_OP_READ, buf, len, offset);
    op.deadline_ns = ros2i_client_deadline(file->client);
    return run(file, &op, NULL);
}

/* offset_p: in: where to write; out: behind the last byte. */
static ssize_t write_at(struct ros2_file *file, const void *buf, size_t len, uint64_t *offset_p)
{
    int rc = ros2i_file_op_check(file, ROS2I_OP_WRITE, !buf, len, *offset_p);
    if (rc < 0 || len == 0)
        return rc;
    struct ros2i_op op;
    ros2i_file_op_transfer(&op, file, ROS2I_OP_WRITE, buf, len, *offset_p);
    op.deadline_ns = ros2i_client_deadline(file->client);
    int64_t written = run(file, &op, NULL);
    if (written >= 0)
        *offset_p = file->append ? op.append_end : *offset_p + (uint64_t)written;
    return written;
}

ssize_t ros2_pread(struct ros2_file *file, void *buf, size_t len, uint64_t offset)
{
    ssize_t n = read_at(file, buf, len, offset);
    return n < 0 ? ros2i_fail_prefix((int)n, "pread %s", file->path) : n;
}

ssize_t ros2_pwrite(struct ros2_file *file, const void *buf, size_t len, uint64_t offset)
{
    ssize_t n = write_at(file, buf, len, &offset);
    return n < 0 ? ros2i_fail_prefix((int)n, "pwrite %s", file->path) : n;
}

ssize_t ros2_read(struct ros2_file *file, void *buf, size_t len)
{
    pthread_mutex_lock(&file->offset_lock);
    ssize_t n = read_at(file, buf, len, file->offset);
    if (n > 0)
        file->offset += (uint64_t)n;
    pthread_mutex_unlock(&file->offset_lock);
    return n < 0 ? ros2i_fail_prefix((int)n, "read %s", file->path) : n;
}

ssize_t ros2_write(struct ros2_file *file, const void *buf, size_t len)
{
    pthread_mutex_lock(&file->offset_lock);
    ssize_t n = write_at(file, buf, len, &file->offset);
    pthread_mutex_unlock(&file->offset_lock);
    return n < 0 ? ros2i_fail_prefix((int)n, "write %s", file->path) : n;
}

/* -- offset, sync, attributes -- */

static int get_attr(struct ros2_file *file, struct ros2_attr *attr)
{
    uint64_t deadline_ns = ros2i_client_deadline(file->client);
    int rc = ros2i_client_enter(file->client, deadline_ns);
    if (rc < 0)
        return rc;
    return ros2i_client_error(
        ros2i_control_fstat(file->client->control, file->handle, deadline_ns, attr));
}

static int64_t seek(struct ros2_file *file, int64_t offset, int whence)
{
    struct ros2_attr attr;
    uint64_t base = 0;
    int rc = 0;
    if (whence == SEEK_END)
        rc = get_attr(file, &attr);
    if (rc < 0)
        return rc;
    if (whence == SEEK_CUR)
        base = file->offset;
    else if (whence == SEEK_END)
        base = attr.size;
    else if (whence != SEEK_SET)
        return ros2i_fail(EINVAL, "whence %d is not SEEK_SET, SEEK_CUR or SEEK_END", whence);
    if (base > INT64_MAX || (offset > 0 && base > (uint64_t)(INT64_MAX - offset)))
        return ros2i_fail(EOVERFLOW, "the offset would be past 2^63 - 1");
    int64_t target = (int64_t)base + offset;
    if (target < 0)
        return ros2i_fail(EINVAL, "the offset would be negative");
    file->offset = (uint64_t)target;
    return target;
}

int64_t ros2_lseek(struct ros2_file *file, int64_t offset, int whence)
{
    pthread_mutex_lock(&file->offset_lock);
    int64_t target = seek(file, offset, whence);
    pthread_mutex_unlock(&file->offset_lock);
    return target < 0 ? ros2i_fail_prefix((int)target, "lseek %s", file->path) : target;
}

int ros2i_file_sync(struct ros2_file *file, uint64_t deadline_ns)
{
    struct ros2i_unsynced_mark mark;
    struct ros2i_op op;
    ros2i_file_op_sync(&op, file, 0, &mark);
    op.deadline_ns = deadline_ns;
    return (int)run(file, &op, &mark);
}

int ros2_fsync(struct ros2_file *file)
{
    int rc = ros2i_file_sync(file, ros2i_client_deadline(file->client));
    return rc < 0 ? ros2i_fail_prefix(rc, "fsync %s", file->path) : 0;
}

int ros2_fstat(struct ros2_file *file, struct stat *st)
{
    struct ros2_attr attr;
    int rc = get_attr(file, &attr);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "fstat %s", file->path);
    ros2i_stat_from_attr(&attr, st);
    return 0;
}
