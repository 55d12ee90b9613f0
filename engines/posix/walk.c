/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel opens one component at a time and never follows a symbolic link for us; we read links and go up ourselves.
 *
 * Why no path leads out, whatever others rename meanwhile: the walk starts at the root's descriptor, a step down stays
 * below where it was, an absolute link is refused, and a step up must arrive at the very directory (device, inode) that
 * the walk came through, which is the root or was below it. */
#include "config.h"

#include "engines/posix/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engines/posix/root.h"

#define LINKS_MAX 40 /* as Linux */
#define RACES_MAX \
    16 /* a name that changes between link and file while we look, or a directory that moves */
#define FOLLOW_LINK 1 /* results of a step, beside -errno: go on with the link's target */

struct id {
    uint64_t dev, ino;
};

struct walk {
    const struct ros2_root *root;
    int at;             /* directory reached so far; root->fd is borrowed, others are ours */
    struct id *came_by; /* directories below the root that led to at, at itself last */
    size_t depth, room; /* of came_by */
    char *owned;        /* the path after a link was put in, or NULL */
    const char *cursor; /* what is left of the path */
    unsigned links;
};

static void leave_directory(struct walk *w)
{
    if (w->at != w->root->fd)
        close(w->at);
}

/* Takes fd over, also on failure. */
static int go_down(struct walk *w, int fd, const struct stat *st)
{
    if (w->depth == w->room) {
        size_t room = w->room ? 2 * w->room : 32;
        struct id *grown = realloc(w->came_by, room * sizeof(*grown));
        if (!grown) {
            close(fd);
            return -ENOMEM;
        }
        w->came_by = grown;
        w->room = room;
    }
    w->came_by[w->depth++] = (struct id){.dev = st->st_dev, .ino = st->st_ino};
    leave_directory(w);
    w->at = fd;
    return 0;
}

static int go_up(struct walk *w)
{
    struct stat st;

    if (w->depth == 0)
        return -EXDEV;
    struct id want = {.dev = w->root->dev, .ino = w->root->ino};
    if (w->depth > 1)
        want = w->came_by[w->depth - 2];
    int fd = openat(w->at, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || st.st_dev != want.dev || st.st_ino != want.ino) {
        close(fd);
        return -EAGAIN; /* moved while we were in it: start again */
    }
    w->depth--;
    leave_directory(w);
    w->at = fd;
    return 0;
}

/* The path goes on with the target of the link at (dir, name), then rest. name "": dir is the link. */
static int follow_link(struct walk *w, int dir, const char *name, const char *rest)
{
    char target[ROS2I_PATH_MAX + 1];

    ssize_t n = readlinkat(dir, name, target, sizeof(target));
    if (n < 0)
        return -errno;
    if (n == 0)
        return -ENOENT;
    if ((size_t)n == sizeof(target))
        return -ENAMETOOLONG;
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    if (target[0] == '/')
        return -EXDEV;
    size_t rest_len = strlen(rest);
    char *path = malloc((size_t)n + rest_len + 1);
    if (!path)
        return -ENOMEM;
    memcpy(path, target, (size_t)n);
    memcpy(path + n, rest, rest_len + 1);
    free(w->owned); /* rest was in it */
    w->owned = path;
    w->cursor = path;
    return FOLLOW_LINK;
}

/* A component that more components follow. rest starts at its slash. */
static int middle_component(struct walk *w, const char *name, const char *rest)
{
    struct stat st;
    int rc;

    int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        rc = -errno;
    } else if (S_ISDIR(st.st_mode)) {
        w->cursor = rest;
        return go_down(w, fd, &st);
    } else if (S_ISLNK(st.st_mode)) {
        rc = follow_link(w, fd, "", rest);
    } else {
        rc = -ENOTDIR;
    }
    close(fd);
    return rc;
}

static bool is_link(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* The last component: opens it. rest is "" or slashes. Returns the descriptor in *fd_p with 0. */
static int last_component(struct walk *w, const char *name, const char *rest, int o_flags,
                          mode_t mode, int *fd_p)
{
    bool follow =
        !(o_flags & O_NOFOLLOW) || *rest; /* a slash behind a link means what it points to */
    int rc = -ELOOP;

    if (*rest && (o_flags & O_CREAT))
        return -EISDIR;
    if (*rest)
        o_flags |= O_DIRECTORY;
    for (int i = 0; i < RACES_MAX; i++) {
        int fd = openat(w->at, name, o_flags | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd >= 0 && !((o_flags & O_PATH) && follow && is_link(fd))) {
            *fd_p = fd;
            return 0;
        }
        rc = fd < 0 ? -errno : -ELOOP;
        if (fd >= 0)
            close(fd);
        /* With O_DIRECTORY Linux says ENOTDIR of a link. */
        if ((rc != -ELOOP && rc != -ENOTDIR) || !follow)
            return rc;
        int link = follow_link(w, w->at, name, rest);
        if (link != -EINVAL) /* -EINVAL: not a link (any more) */
            return link;
        if (rc == -ENOTDIR)
            return rc;
    }
    return rc;
}

static int step(struct walk *w, int o_flags, mode_t mode, int *fd_p)
{
    char name[ROS2I_NAME_MAX + 1];

    const char *start = w->cursor + strspn(w->cursor, "/");
    size_t len = strcspn(start, "/");
    const char *rest = start + len;
    if (len > ROS2I_NAME_MAX)
        return -ENAMETOOLONG; /* in a link's target */
    memcpy(name, start, len);
    name[len] = '\0';

    if (strcmp(name, "..") == 0) {
        w->cursor = rest;
        return go_up(w);
    }
    if (strcmp(name, ".") == 0) {
        w->cursor = rest;
        return 0;
    }
    if (len ==
        0) { /* the path ended with a dot, or in the directory that a link named "x/" led to */
        int fd = openat(w->at, ".", o_flags | O_CLOEXEC, mode);
        if (fd < 0)
            return -errno;
        *fd_p = fd;
        return 0;
    }
    if (rest[strspn(rest, "/")])
        return middle_component(w, name, rest);
    return last_component(w, name, rest, o_flags, mode, fd_p);
}

static int walk_once(const struct ros2_root *root, const char *path, int o_flags, mode_t mode)
{
    struct walk w = {.root = root, .at = root->fd, .cursor = path};
    int fd = -1;
    int rc;

    do
        rc = step(&w, o_flags, mode, &fd);
    while (rc >= 0 && fd < 0);

    leave_directory(&w);
    free(w.came_by);
    free(w.owned);
    return rc < 0 ? rc : fd;
}

int ros2i_walk(const struct ros2_root *root, const char *path, int o_flags, mode_t mode)
{
    int rc = -EAGAIN;
    for (int i = 0; rc == -EAGAIN && i < RACES_MAX; i++)
        rc = walk_once(root, path, o_flags, mode);
    return rc;
}
