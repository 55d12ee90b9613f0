/* SPDX-License-Identifier: Apache-2.0 */
/* Names: thin calls over the control plane on resolved paths. Any thread. */
#include "config.h"

#include "ros2/namespace.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/core/client.h"
#include "lib/core/file.h"
#include "lib/core/path.h"
#include "ros2/engine.h"

static struct timespec time_of(int64_t ns)
{
    struct timespec ts = {ns / 1000000000, ns % 1000000000};
    if (ts.tv_nsec < 0) {
        ts.tv_nsec += 1000000000;
        ts.tv_sec--;
    }
    return ts;
}

void ros2i_stat_from_attr(const struct ros2_attr *attr, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    st->st_dev = attr->dev;
    st->st_ino = attr->ino;
    st->st_mode = attr->mode;
    st->st_nlink = attr->nlink;
    st->st_uid = attr->uid;
    st->st_gid = attr->gid;
    st->st_size = (off_t)attr->size;
    st->st_blksize = (blksize_t)attr->blksize;
    st->st_blocks = (blkcnt_t)attr->blocks512;
    st->st_atim = time_of(attr->atime_ns);
    st->st_mtim = time_of(attr->mtime_ns);
    st->st_ctim = time_of(attr->ctime_ns);
}

static const char *shown(const char *path)
{
    return path ? path : "(null)";
}

int ros2i_path_stat(struct ros2_client *client, const char *path, bool directory,
                    uint64_t deadline_ns, struct ros2_attr *attr)
{
    int rc = ros2i_client_enter(client, deadline_ns);
    if (rc == 0)
        rc =
            ros2i_client_error(ros2i_control_stat(client->control, path, false, deadline_ns, attr));
    if (rc == 0 && directory && (attr->mode & S_IFMT) != S_IFDIR)
        rc = ros2i_fail(ENOTDIR, "it is not a directory");
    return rc;
}

/* How every call of this file but stat begins. */
static int begin(struct ros2_client *client, const char *path, struct ros2i_path *path_p,
                 uint64_t *deadline_ns_p)
{
    int rc = ros2i_path_resolve(path, path_p);
    if (rc < 0)
        return rc;
    *deadline_ns_p = ros2i_client_deadline(client);
    return ros2i_client_enter(client, *deadline_ns_p);
}

int ros2_stat(struct ros2_client *client, const char *path, struct stat *st)
{
    struct ros2i_path resolved;
    struct ros2_attr attr;
    int rc = ros2i_path_resolve(path, &resolved);
    if (rc == 0)
        rc = ros2i_path_stat(client, resolved.text, resolved.directory,
                             ros2i_client_deadline(client), &attr);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "stat %s", shown(path));
    ros2i_stat_from_attr(&attr, st);
    return 0;
}

int ros2_mkdir(struct ros2_client *client, const char *path, mode_t mode)
{
    struct ros2i_path resolved;
    uint64_t deadline_ns;
    int rc = begin(client, path, &resolved, &deadline_ns);
    if (rc == 0)
        rc = ros2i_client_error(
            ros2i_control_mkdir(client->control, resolved.text, mode & 07777, deadline_ns));
    return rc < 0 ? ros2i_fail_prefix(rc, "mkdir %s", shown(path)) : 0;
}

int ros2_unlink(struct ros2_client *client, const char *path)
{
    struct ros2i_path resolved;
    uint64_t deadline_ns;
    int rc = begin(client, path, &resolved, &deadline_ns);
    if (rc == 0 && resolved.directory)
        rc = ros2i_fail(EISDIR, "the path names a directory; use ros2_rmdir()");
    if (rc == 0)
        rc = ros2i_client_error(
            ros2i_control_unlink(client->control, resolved.text, false, deadline_ns));
    return rc < 0 ? ros2i_fail_prefix(rc, "unlink %s", shown(path)) : 0;
}

int ros2_rmdir(struct ros2_client *client, const char *path)
{
    struct ros2i_path resolved;
    uint64_t deadline_ns;
    int rc = begin(client, path, &resolved, &deadline_ns);
    if (rc == 0 && strcmp(resolved.text, "/") == 0)
        rc = ros2i_fail(EBUSY, "the root cannot be removed");
    if (rc == 0)
        rc = ros2i_client_error(
            ros2i_control_unlink(client->control, resolved.text, true, deadline_ns));
    return rc < 0 ? ros2i_fail_prefix(rc, "rmdir %s", shown(path)) : 0;
}

/* Paths lose their last slash on the way to the daemon, and only a directory may have been named with one. */
static int check_rename(struct ros2_client *client, const struct ros2i_path *from,
                        const struct ros2i_path *to, uint64_t deadline_ns)
{
    struct ros2_attr attr;
    if (!from->directory && !to->directory)
        return 0;
    int rc = ros2i_client_error(
        ros2i_control_stat(client->control, from->text, true, deadline_ns, &attr));
    if (rc == 0 && (attr.mode & S_IFMT) != S_IFDIR)
        rc = ros2i_fail(ENOTDIR, "%s is not a directory, and a name that ends in '/' is one's",
                        from->text);
    return rc;
}

int ros2_rename(struct ros2_client *client, const char *from, const char *to)
{
    struct ros2i_path resolved_from, resolved_to;
    uint64_t deadline_ns;
    int rc = ros2i_path_resolve(to, &resolved_to);
    if (rc == 0)
        rc = begin(client, from, &resolved_from, &deadline_ns);
    if (rc == 0)
        rc = check_rename(client, &resolved_from, &resolved_to, deadline_ns);
    if (rc == 0)
        rc = ros2i_client_error(ros2i_control_rename(client->control, resolved_from.text,
                                                     resolved_to.text, deadline_ns));
    return rc < 0 ? ros2i_fail_prefix(rc, "rename %s to %s", shown(from), shown(to)) : 0;
}

static int sync_path(struct ros2_client *client, const char *path, unsigned open_flags,
                     uint64_t deadline_ns)
{
    struct ros2_file *file;
    int rc = ros2i_file_open(client, path, open_flags, 0, deadline_ns, &file);
    if (rc < 0)
        return rc;
    rc = ros2i_file_sync(file, deadline_ns);
    char text[ROS2I_ERROR_MAX];
    if (rc < 0)
        strcpy(text, ros2i_error());
    ros2_close(file);
    return rc < 0 ? ros2i_fail(-rc, "%s", text) : 0;
}

int ros2_publish(struct ros2_client *client, const char *tmp, const char *final)
{
    struct ros2i_path from, to;
    uint64_t deadline_ns;
    const char *step = "look at the names";
    int rc = ros2i_path_resolve(final, &to);
    if (rc == 0)
        rc = begin(client, tmp, &from, &deadline_ns);
    if (rc == 0)
        rc = check_rename(client, &from, &to, deadline_ns);
    if (rc == 0) {
        step = "fsync of the file";
        rc = sync_path(client, from.text, ROS2_OPEN_READ, deadline_ns);
    }
    if (rc == 0) {
        step = "rename";
        rc = ros2i_client_error(
            ros2i_control_rename(client->control, from.text, to.text, deadline_ns));
    }
    if (rc == 0) {
        /* The name is there from here on; that it outlives a crash is what is left. */
        step = "fsync of the directory";
        ros2i_path_parent(&to);
        rc = sync_path(client, to.text, ROS2_OPEN_READ | ROS2_OPEN_DIRECTORY, deadline_ns);
    }
    return rc < 0 ? ros2i_fail_prefix(rc, "publish %s as %s: %s", shown(tmp), shown(final), step)
                  : 0;
}
