/* SPDX-License-Identifier: Apache-2.0 */
/* Confinement: openat2 where the kernel has it, else a walk of our own (walk.c); both give the same results. */
#include "config.h"

#include "engines/posix/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engines/posix/walk.h"

/* openat2 says EAGAIN when a rename or mount anywhere may have let a ".." slip; the walk needs no such luck. */
#define OPENAT2_TRIES 8

#define FNV_START 14695981039346656037ull
#define FNV_PRIME 1099511628211ull

static int openat2_beneath(int dir, const char *path, int o_flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(o_flags | O_CLOEXEC),
        .mode = o_flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int ros2i_root_probe_openat2(void)
{
    int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int fd = openat2_beneath(dir, ".", O_PATH, 0);
    close(dir);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static int check_path(const char *path)
{
    if (*path == '/')
        return -EINVAL;
    if (strlen(path) > ROS2I_PATH_MAX)
        return -ENAMETOOLONG;
    while (*path) {
        size_t len = strcspn(path, "/");
        if (len > ROS2I_NAME_MAX)
            return -ENAMETOOLONG;
        path += len + (path[len] == '/');
    }
    return 0;
}

int ros2i_root_resolve(const struct ros2_root *root, const char *path, int o_flags, mode_t mode)
{
    int rc = check_path(path);
    if (rc < 0)
        return rc;
    const char *name = *path ? path : ".";
    rc = -EAGAIN;
    for (int i = 0; root->engine->openat2 && rc == -EAGAIN && i < OPENAT2_TRIES; i++)
        rc = openat2_beneath(root->fd, name, o_flags, mode);
    return rc == -EAGAIN ? ros2i_walk(root, name, o_flags, mode) : rc;
}

int ros2i_root_resolve_parent(const struct ros2_root *root, const char *path, const char **last_p)
{
    char parent[ROS2I_PATH_MAX + 1];
    int rc = check_path(path);
    if (rc < 0)
        return rc;

    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    while (end > 0 && path[end - 1] != '/')
        end--;
    memcpy(parent, path, end);
    parent[end] = '\0';
    int fd = ros2i_root_resolve(root, parent, O_PATH | O_DIRECTORY, 0);
    if (fd >= 0)
        *last_p = path + end;
    return fd;
}

int ros2i_root_open(struct ros2_engine *engine, const char *location, struct ros2_root **root_p)
{
    struct stat st;
    struct statfs fs;
    int rc;

    struct ros2_root *root = calloc(1, sizeof(*root));
    if (!root)
        return engine->host->fail(ENOMEM, "%s: out of memory", location);
    root->engine = engine;
    root->fd = open(location, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0) {
        rc = ros2i_posix_fail(engine, location, errno);
        goto free_root;
    }
    if (fstat(root->fd, &st) < 0 || fstatfs(root->fd, &fs) < 0) {
        rc = ros2i_posix_fail(engine, location, errno);
        goto close_fd;
    }
    /* O_PATH asks for no permission: without search permission every later call would fail, so say it now. */
    if (faccessat(root->fd, ".", X_OK, AT_EACCESS) < 0) {
        rc = ros2i_posix_fail(engine, location, errno);
        goto close_fd;
    }
    root->dev = st.st_dev;
    root->ino = st.st_ino;
    root->in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
    *root_p = root;
    return 0;

close_fd:
    close(root->fd);
free_root:
    free(root);
    return rc;
}

void ros2i_root_close(struct ros2_root *root)
{
    close(root->fd);
    free(root);
}

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ bytes[i]) * FNV_PRIME;
    return h;
}

static int read_boot_id(char *id, size_t len)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, id, len);
    int rc = n > 0 ? (int)n : -EIO;
    close(fd);
    return rc;
}

/* The page cache outlives this process, but neither the machine's boot nor the mount. */
int ros2i_root_durability_epoch(struct ros2_root *root, uint64_t *epoch_p)
{
    const struct ros2_host *host = root->engine->host;
    char boot_id[64];
    struct statfs fs;

    int len = read_boot_id(boot_id, sizeof(boot_id));
    if (len < 0)
        return host->fail(-len, "/proc/sys/kernel/random/boot_id: %s; mount /proc",
                          strerrordesc_np(-len));
    if (fstatfs(root->fd, &fs) < 0)
        return host->fail(errno, "file system of the root: %s", strerrordesc_np(errno));
    uint64_t h = hash(FNV_START, boot_id, (size_t)len);
    h = hash(h, &fs.f_fsid, sizeof(fs.f_fsid));
    *epoch_p = hash(h, &root->dev, sizeof(root->dev));
    return 0;
}
