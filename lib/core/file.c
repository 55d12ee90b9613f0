/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: what POSIX says of a descriptor, on top of operations. Any thread, many at once on one file.
 *
 * Positioned calls take no lock; the file's own offset has one, held as long as the call that uses it. */
#include "config.h"

#include "lib/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/core/implicit.h"
#include "lib/core/open_flags.h"
#include "lib/core/path.h"

/* -- open, close -- */

static int create_file(struct ros2_client *client, const char *path, struct ros2_file **file_p)
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

static void free_file(struct ros2_file *file)
{
    pthread_mutex_destroy(&file->offset_lock);
    ros2i_unsynced_fini(&file->unsynced);
    free(file->path);
    free(file);
}

static void link_file(struct ros2_client *client, struct ros2_file *file)
{
    pthread_mutex_lock(&client->lock);
    file->next = client->files;
    if (file->next)
        file->next->prev = file;
    client->files = file;
    pthread_mutex_unlock(&client->lock);
}

static bool unlink_file(struct ros2_file *file)
{
    struct ros2_client *client = file->client;
    pthread_mutex_lock(&client->lock);
    *(file->prev ? &file->prev->next : &client->files) = file->next;
    if (file->next)
        file->next->prev = file->prev;
    bool inherited = file->inherited;
    pthread_mutex_unlock(&client->lock);
    return inherited;
}

int ros2i_file_open(struct ros2_client *client, const char *path, unsigned open_flags,
                    uint32_t mode, uint64_t deadline_ns, struct ros2_file **file_p)
{
    struct ros2_file *file = NULL;
    int rc = create_file(client, path, &file);
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
        free_file(file);
        return rc;
    }
    file->handle = item.capability.handle;
    file->readable = (open_flags & ROS2_OPEN_READ) != 0;
    file->writable = (open_flags & ROS2_OPEN_WRITE) != 0;
    file->append = (open_flags & ROS2_OPEN_APPEND) != 0;
    file->directory = (item.attr.mode & S_IFMT) == S_IFDIR;
    link_file(client, file);
    *file_p = file;
    return 0;
}

int ros2_open(struct ros2_client *client, const char *path, int flags, mode_t mode,
              struct ros2_file **file_p)
{
    struct ros2i_path resolved;
    unsigned open_flags;
    int rc = ros2i_open_flags(flags, &open_flags);
    if (rc == 0)
        rc = ros2i_path_resolve(path, &resolved);
    if (rc == 0 && resolved.directory && (open_flags & ROS2_OPEN_CREATE))
        rc = ros2i_fail(EISDIR, "a file is to be created and the path names a directory");
    if (rc == 0 && resolved.directory)
        open_flags |= ROS2_OPEN_DIRECTORY;
    if (rc == 0)
        rc = ros2i_file_open(client, resolved.text, open_flags, mode & 07777,
                             ros2i_client_deadline(client), file_p);
    return rc < 0 ? ros2i_fail_prefix(rc, "open %s", path ? path : "(null)") : 0;
}

int ros2_close(struct ros2_file *file)
{
    if (!file)
        return 0;
    struct ros2_client *client = file->client;
    bool inherited = unlink_file(file);
    /* One round trip for each close. Handles could be gathered and closed in batches, at the price of descriptors that
     * stay open at the daemon for longer than the caller believes. */
    if (!inherited) {
        int err = 0;
        int rc = ros2i_control_close_many(client->control, &file->handle, 1, &err,
                                          ros2i_client_deadline(client));
        if (rc < 0 || err != 0)
            ros2i_log(ROS2_LOG_INFO, "core",
                      "close %s: not told to the daemon, the session's end closes it: %s",
                      file->path, rc < 0 ? ros2i_error() : ros2i_strerror(err < 0 ? -err : err));
    }
    free_file(file);
    return 0;
}

void ros2i_file_after_fork(struct ros2_file *file)
{
    pthread_mutex_init(&file->offset_lock, NULL);
    pthread_mutex_init(&file->unsynced.lock, NULL);
    file->inherited = true;
}

/* -- read, write -- */

static int check_transfer(const struct ros2_file *file, bool allowed, const char *what,
                          const void *buf, size_t len, uint64_t offset)
{
    if (file->directory)
        return ros2i_fail(EISDIR, "it is a directory");
    if (!allowed)
        return ros2i_fail(EBADF, "it is not open for %s", what);
    if (len > SSIZE_MAX)
        return ros2i_fail(EINVAL, "the length %zu is above SSIZE_MAX", len);
    if (offset > (uint64_t)INT64_MAX - len)
        return ros2i_fail(EINVAL, "offset %llu and length %zu go past 2^63 - 1",
                          (unsigned long long)offset, len);
    if (!buf && len > 0)
        return ros2i_fail(EFAULT, "the buffer is NULL");
    return 0;
}

static ssize_t read_at(struct ros2_file *file, void *buf, size_t len, uint64_t offset)
{
    int rc = check_transfer(file, file->readable, "reading", buf, len, offset);
    if (rc < 0 || len == 0)
        return rc;
    struct ros2i_op op;
    ros2i_op_init(&op, ROS2I_OP_READ, file->handle);
    op.buf = buf;
    op.len = len;
    op.offset = offset;
    op.deadline_ns = ros2i_client_deadline(file->client);
    rc = ros2i_client_enter(file->client, op.deadline_ns);
    return rc < 0 ? rc : ros2i_implicit_run(file->client, &op);
}

/* offset_p: in: where to write; out: behind the last byte. */
static ssize_t write_at(struct ros2_file *file, const void *buf, size_t len, uint64_t *offset_p)
{
    int rc =
        check_transfer(file, file->writable, "writing", buf, len, file->append ? 0 : *offset_p);
    if (rc < 0 || len == 0)
        return rc;
    struct ros2i_op op;
    ros2i_op_init(&op, ROS2I_OP_WRITE, file->handle);
    op.flags = file->append ? ROS2I_OP_APPEND : 0;
    op.buf = (void *)(uintptr_t)buf; /* only read from */
    op.len = len;
    op.offset = file->append ? 0 : *offset_p;
    op.deadline_ns = ros2i_client_deadline(file->client);
    rc = ros2i_client_enter(file->client, op.deadline_ns);
    if (rc < 0)
        return rc;
    int64_t written = ros2i_implicit_run(file->client, &op);
    /* Also of a write that failed in part: what was acknowledged is to be synced. */
    if (op.epoch_known)
        ros2i_unsynced_wrote(&file->unsynced, op.durability_epoch, op.epoch_changed);
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
    int rc = ros2i_client_enter(file->client, deadline_ns);
    if (rc < 0)
        return rc;
    struct ros2i_unsynced_mark mark = ros2i_unsynced_mark(&file->unsynced);
    struct ros2i_op op;
    ros2i_op_init(&op, ROS2I_OP_FSYNC, file->handle);
    op.deadline_ns = deadline_ns;
    rc = (int)ros2i_implicit_run(file->client, &op);
    return rc < 0 ? rc : ros2i_unsynced_synced(&file->unsynced, &mark, op.durability_epoch);
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
