/* SPDX-License-Identifier: Apache-2.0 */
/* Names: the directory is opened confined (root.c), then the *at() call gets the last component alone, which these calls
 * never follow. */
#include "config.h"

#include "engines/posix/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engines/posix/root.h"

#define NS_PER_S 1000000000

#define OPEN_FLAGS_ALL                                                           \
    (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_EXCLUSIVE | \
     ROS2_OPEN_TRUNCATE | ROS2_OPEN_APPEND | ROS2_OPEN_DIRECTORY | ROS2_OPEN_NOFOLLOW)

static int64_t to_ns(struct statx_timestamp t)
{
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int ros2i_namespace_attr(int dir, const char *name, int at_flags, struct ros2_attr *attr_p)
{
    struct statx stx;
    if (statx(dir, name, at_flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &stx) < 0)
        return -errno;
    *attr_p = (struct ros2_attr){
        .ino = stx.stx_ino,
        .dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
        .size = stx.stx_size,
        .blocks512 = stx.stx_blocks,
        .mode = stx.stx_mode,
        .nlink = stx.stx_nlink,
        .uid = stx.stx_uid,
        .gid = stx.stx_gid,
        .blksize = stx.stx_blksize,
        .atime_ns = to_ns(stx.stx_atime),
        .mtime_ns = to_ns(stx.stx_mtime),
        .ctime_ns = to_ns(stx.stx_ctime),
        .btime_ns = stx.stx_mask & STATX_BTIME ? to_ns(stx.stx_btime) : 0,
    };
    return 0;
}

/* What Linux leaves undefined or answers differently by version is refused. */
static const char *flags_fault(unsigned flags)
{
    if (flags & ~(unsigned)OPEN_FLAGS_ALL)
        return "unknown open flag";
    if (!(flags & (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_DIRECTORY)))
        return "open for neither reading nor writing";
    if ((flags & (ROS2_OPEN_TRUNCATE | ROS2_OPEN_APPEND)) && !(flags & ROS2_OPEN_WRITE))
        return "truncate or append without write";
    if ((flags & ROS2_OPEN_EXCLUSIVE) && !(flags & ROS2_OPEN_CREATE))
        return "exclusive without create";
    if ((flags & ROS2_OPEN_CREATE) && (flags & ROS2_OPEN_DIRECTORY))
        return "create with directory; use mkdir";
    return NULL;
}

/* No O_APPEND: pwrite would then ignore its offset, and the engine chooses that itself (file.c). O_NONBLOCK: the open of
 * a fifo returns. */
static int to_o_flags(unsigned flags)
{
    int o_flags = O_NOCTTY | O_NONBLOCK;
    if ((flags & ROS2_OPEN_READ) && (flags & ROS2_OPEN_WRITE))
        o_flags |= O_RDWR;
    else if (flags & ROS2_OPEN_WRITE)
        o_flags |= O_WRONLY;
    if (flags & ROS2_OPEN_CREATE)
        o_flags |= O_CREAT;
    if (flags & ROS2_OPEN_EXCLUSIVE)
        o_flags |= O_EXCL;
    if (flags & ROS2_OPEN_TRUNCATE)
        o_flags |= O_TRUNC;
    if (flags & ROS2_OPEN_DIRECTORY)
        o_flags |= O_DIRECTORY;
    if (flags & ROS2_OPEN_NOFOLLOW)
        o_flags |= O_NOFOLLOW;
    return o_flags;
}

/* Only what has bytes or names to serve. Everything else gets ENXIO, Linux's own word for a socket or a fifo nobody
 * reads. */
static int accept_file(int fd, struct ros2_attr *attr)
{
    int rc = ros2i_namespace_attr(fd, "", AT_EMPTY_PATH, attr);
    if (rc < 0)
        return rc;
    return S_ISREG(attr->mode) || S_ISDIR(attr->mode) ? 0 : -ENXIO;
}

void ros2i_namespace_let_wait(struct ros2_node *node)
{
    if (atomic_load_explicit(&node->may_wait, memory_order_relaxed)) /* set twice at worst */
        return;
    int flags = fcntl(node->fd, F_GETFL);
    if (flags >= 0 && fcntl(node->fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
        atomic_store_explicit(&node->may_wait, true, memory_order_relaxed);
}

/* The same file once more, past the page cache. By its descriptor: its name may be another file's by now. */
static int open_direct(struct ros2_engine *engine, int fd, const char *path)
{
    char name[32];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    int direct = open(name, O_RDONLY | O_DIRECT | O_NOCTTY | O_CLOEXEC);
    /* Anything else is this file's trouble, or of this moment. */
    if (direct < 0 && errno == EINVAL && !atomic_exchange(&engine->direct_loss_logged, true))
        engine->host->log(
            ROS2_LOG_WARN, ROS2I_POSIX_OUTLET,
            "O_DIRECT refused by the file system, reads go through the page cache: path %s", path);
    return direct;
}

int ros2i_namespace_open(struct ros2_root *root, const char *path, unsigned open_flags,
                         uint32_t mode, struct ros2_node **node_p, struct ros2_attr *attr_p)
{
    struct ros2_attr attr;
    int rc;

    const char *fault = flags_fault(open_flags);
    if (fault)
        return root->engine->host->fail(EINVAL, "%s: %s", path, fault);
    if (!(open_flags & ROS2_OPEN_WRITE))
        open_flags |= ROS2_OPEN_READ; /* a directory to read its names */
    int fd = ros2i_root_resolve(root, path, to_o_flags(open_flags), mode & 0777);
    if (fd < 0)
        return ros2i_posix_fail(root->engine, path, -fd);
    rc = accept_file(fd, &attr);
    if (rc < 0)
        goto close_fd;
    size_t path_size = strlen(path) + 1;
    struct ros2_node *node = calloc(1, sizeof(*node) + path_size);
    if (!node) {
        rc = -ENOMEM;
        goto close_fd;
    }
    node->engine = root->engine;
    node->fd = fd;
    node->open_flags = open_flags;
    node->directory = S_ISDIR(attr.mode);
    node->in_memory = root->in_memory && attr.dev == root->dev;
    node->dev = attr.dev;
    node->ino = attr.ino;
    node->direct_fd = -1;
    if (root->engine->direct && (open_flags & ROS2_OPEN_READ) && !node->directory &&
        !node->in_memory)
        node->direct_fd = open_direct(root->engine, fd, path);
    memcpy(node->path, path, path_size);
    if (attr_p)
        *attr_p = attr;
    *node_p = node;
    return 0;

close_fd:
    close(fd);
    return ros2i_posix_fail(root->engine, path, -rc);
}

void ros2i_namespace_close(struct ros2_node *node)
{
    close(node->fd);
    if (node->direct_fd >= 0)
        close(node->direct_fd);
    free(node);
}

int ros2i_namespace_getattr(struct ros2_node *node, struct ros2_attr *attr_p)
{
    int rc = ros2i_namespace_attr(node->fd, "", AT_EMPTY_PATH, attr_p);
    return rc < 0 ? ros2i_posix_fail(node->engine, node->path, -rc) : 0;
}

int ros2i_namespace_stat(struct ros2_root *root, const char *path, int follow,
                         struct ros2_attr *attr_p)
{
    int fd = ros2i_root_resolve(root, path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
    if (fd < 0)
        return ros2i_posix_fail(root->engine, path, -fd);
    int rc = ros2i_namespace_attr(fd, "", AT_EMPTY_PATH, attr_p);
    close(fd);
    return rc < 0 ? ros2i_posix_fail(root->engine, path, -rc) : 0;
}

int ros2i_namespace_mkdir(struct ros2_root *root, const char *path, uint32_t mode)
{
    const char *last;
    int dir = ros2i_root_resolve_parent(root, path, &last);
    if (dir < 0)
        return ros2i_posix_fail(root->engine, path, -dir);
    int err = 0;
    if (*last == '\0')
        err = EEXIST; /* the root */
    else if (mkdirat(dir, last, mode & 07777) < 0)
        err = errno;
    close(dir);
    return err ? ros2i_posix_fail(root->engine, path, err) : 0;
}

static int remove_name(struct ros2_root *root, const char *path, int at_flags, int err_of_root)
{
    const char *last;
    int dir = ros2i_root_resolve_parent(root, path, &last);
    if (dir < 0)
        return ros2i_posix_fail(root->engine, path, -dir);
    int err = 0;
    if (*last == '\0')
        err = err_of_root;
    else if (unlinkat(dir, last, at_flags) < 0)
        err = errno;
    close(dir);
    return err ? ros2i_posix_fail(root->engine, path, err) : 0;
}

int ros2i_namespace_unlink(struct ros2_root *root, const char *path)
{
    return remove_name(root, path, 0, EISDIR);
}

int ros2i_namespace_rmdir(struct ros2_root *root, const char *path)
{
    return remove_name(root, path, AT_REMOVEDIR, EBUSY);
}

static int fail_rename(struct ros2_root *root, const char *from, const char *to, int err)
{
    if (err == EXDEV)
        return root->engine->host->fail(
            err, "%s to %s: on two file systems; copy and remove instead", from, to);
    return root->engine->host->fail(err, "%s to %s: %s", from, to, strerrordesc_np(err));
}

int ros2i_namespace_rename(struct ros2_root *root, const char *from, const char *to)
{
    const char *from_last, *to_last;
    int rc = 0;

    int from_dir = ros2i_root_resolve_parent(root, from, &from_last);
    if (from_dir < 0)
        return ros2i_posix_fail(root->engine, from, -from_dir);
    int to_dir = ros2i_root_resolve_parent(root, to, &to_last);
    if (to_dir < 0) {
        rc = ros2i_posix_fail(root->engine, to, -to_dir);
        goto close_from;
    }
    if (*from_last == '\0' || *to_last == '\0')
        rc = fail_rename(root, from, to, EBUSY);
    else if (renameat(from_dir, from_last, to_dir, to_last) < 0)
        rc = fail_rename(root, from, to, errno);
    close(to_dir);

close_from:
    close(from_dir);
    return rc;
}

int ros2i_namespace_truncate(struct ros2_node *node, uint64_t size)
{
    if (size > INT64_MAX)
        return ros2i_posix_fail(node->engine, node->path, EFBIG);
    int rc;
    do
        rc = ftruncate(node->fd, (off_t)size);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? ros2i_posix_fail(node->engine, node->path, errno) : 0;
}
