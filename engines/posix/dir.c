/* SPDX-License-Identifier: Apache-2.0 */
/* readdir. A cookie is the file system's own position (d_off), which ext4, xfs, btrfs and (since Linux 6.6) tmpfs keep
 * valid while other names come and go. Each call reads through an open of its own, so that readers of one node do not
 * move each other. */
#include "config.h"

#include "engines/posix/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engines/posix/namespace.h"

#define BATCH (32 * 1024) /* bytes of entries a system call; as glibc */

struct listing {
    int fd;
    int with_attr;
    ros2_readdir_fn *fn;
    void *arg;
};

/* 0: go on, 1: the caller has enough, or -errno. */
static int give(const struct listing *l, const struct dirent64 *entry)
{
    struct ros2_attr attr;
    const char *name = entry->d_name;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    /* 0 means the start: a reader that goes on from there would never end. FUSE without positions does this. */
    if (entry->d_off == 0)
        return -EOPNOTSUPP;
    if (l->with_attr) {
        int rc = ros2i_namespace_attr(l->fd, name, AT_SYMLINK_NOFOLLOW, &attr);
        if (rc == -ENOENT) /* removed since the kernel listed it */
            return 0;
        if (rc < 0)
            return rc;
    }
    return l->fn(l->arg, name, strlen(name), l->with_attr ? &attr : NULL, (uint64_t)entry->d_off)
               ? 1
               : 0;
}

static int give_batch(const struct listing *l, const char *batch, size_t len)
{
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0;) {
        const struct dirent64 *entry = (const void *)(batch + at);
        rc = give(l, entry);
        at += entry->d_reclen;
    }
    return rc;
}

static int list(const struct listing *l)
{
    char *batch = malloc(BATCH); /* malloc's alignment is what getdents64 wants */
    if (!batch)
        return -ENOMEM;
    int rc = 0;
    while (rc == 0) {
        ssize_t n = getdents64(l->fd, batch, BATCH);
        if (n <= 0) {
            rc = n < 0 ? -errno : 0;
            break;
        }
        rc = give_batch(l, batch, (size_t)n);
    }
    free(batch);
    return rc < 0 ? rc : 0;
}

int ros2i_dir_readdir(struct ros2_node *directory, uint64_t cookie, int with_attr,
                      ros2_readdir_fn *fn, void *arg)
{
    struct ros2_engine *engine = directory->engine;
    int rc;

    if (!directory->directory)
        return ros2i_posix_fail(engine, directory->path, ENOTDIR);
    if (cookie > INT64_MAX)
        return ros2i_posix_fail(engine, directory->path, EINVAL);
    int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ros2i_posix_fail(engine, directory->path, errno);
    if (cookie && lseek(fd, (off_t)cookie, SEEK_SET) < 0)
        rc = -errno;
    else
        rc = list(&(struct listing){.fd = fd, .with_attr = with_attr, .fn = fn, .arg = arg});
    close(fd);
    return rc < 0 ? ros2i_posix_fail(engine, directory->path, -rc) : 0;
}
