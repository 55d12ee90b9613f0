/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl get: files out of the store.
 *
 * As with put, a file is written under a hidden name and renamed when it is whole; what is there and is no regular file (a
 * device, a FIFO) is written to instead, since renaming would replace it. Names from the daemon have been
 * checked by the walk: none leads out of the destination. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/path.h"
#include "tools/ros2ctl/remote.h"
#include "tools/ros2ctl/stop.h"
#include "tools/ros2ctl/transfer.h"
#include "tools/ros2ctl/verbs.h"

struct get {
    struct ctl_transfer transfer;
    char **sources;
    size_t source_count;
    const char *dest;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct get *get = state->input;

    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = get->transfer.ctl;
        state->child_inputs[1] = &get->transfer;
        return 0;
    case ARGP_KEY_ARGS:
        get->sources = state->argv + state->next;
        get->source_count = (size_t)(state->argc - state->next) - 1;
        get->dest = state->argv[state->argc - 1];
        return 0;
    case ARGP_KEY_END:
        if (get->source_count == 0)
            argp_error(state, "give what to copy, and where to");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int write_all(int fd, const char *buf, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(fd, buf, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        buf += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

static int copy_bytes(struct ctl_transfer *transfer, struct ros2_file *file, int fd, const char *to,
                      void *buf)
{
    uint64_t offset = 0;

    while (!ctl_stop_asked()) {
        ssize_t got = ros2_pread(file, buf, CTL_TRANSFER_BUFFER, offset);
        if (got == 0)
            return CTL_OK;
        if (got < 0)
            return ctl_fail_ros2(transfer->ctl);
        int rc = write_all(fd, buf, (size_t)got);
        if (rc < 0)
            return ctl_fail_errno(transfer->ctl, "write", to, -rc);
        offset += (uint64_t)got;
        atomic_fetch_add(&transfer->progress.bytes, (uint64_t)got);
    }
    return CTL_FAILURE;
}

static int write_temporary(struct ctl_transfer *transfer, struct ros2_file *file, const char *tmp,
                           const char *to, mode_t mode, void *buf)
{
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return ctl_fail_errno(transfer->ctl, "create", to, errno);
    int code = copy_bytes(transfer, file, fd, to, buf);
    if (code == CTL_OK && fchmod(fd, mode) < 0)
        code = ctl_fail_errno(transfer->ctl, "set the mode of", to, errno);
    if (code == CTL_OK && transfer->sync && fsync(fd) < 0)
        code = ctl_fail_errno(transfer->ctl, "sync", to, errno);
    if (close(fd) < 0 && code == CTL_OK)
        code = ctl_fail_errno(transfer->ctl, "write", to, errno);
    return code;
}

static int sync_directory_of(const struct ctl_transfer *transfer, const char *path)
{
    char *directory = ctl_path_dirname(path);

    if (!directory)
        return ctl_fail_memory(transfer->ctl);
    int code = CTL_OK;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        code = ctl_fail_errno(transfer->ctl, "sync", directory, errno);
    if (fd >= 0)
        close(fd);
    free(directory);
    return code;
}

static int get_open_file(struct ctl_transfer *transfer, struct ros2_file *file, const char *to,
                         mode_t mode, void *buf)
{
    char *tmp = ctl_path_temporary(to);

    if (!tmp)
        return ctl_fail_memory(transfer->ctl);
    int code = write_temporary(transfer, file, tmp, to, mode, buf);
    if (code == CTL_OK && rename(tmp, to) < 0)
        code = ctl_fail_errno(transfer->ctl, "rename to", to, errno);
    if (code != CTL_OK)
        unlink(tmp);
    else if (transfer->sync)
        code = sync_directory_of(transfer, to);
    free(tmp);
    return code;
}

/* A link that a tree happens to have is replaced; one that the user named is followed. */
static bool is_special(const struct ctl_transfer *transfer, const char *to)
{
    struct stat st;
    int rc = transfer->recursive ? lstat(to, &st) : stat(to, &st);

    return rc == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode);
}

static int write_special(struct ctl_transfer *transfer, struct ros2_file *file, const char *to,
                         void *buf)
{
    int fd = open(to, O_WRONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return ctl_fail_errno(transfer->ctl, "open", to, errno);
    int code = copy_bytes(transfer, file, fd, to, buf);
    /* EINVAL, EROFS: there is nothing that could be synced, as with a FIFO. */
    if (code == CTL_OK && transfer->sync && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
        code = ctl_fail_errno(transfer->ctl, "sync", to, errno);
    if (close(fd) < 0 && code == CTL_OK)
        code = ctl_fail_errno(transfer->ctl, "write", to, errno);
    return code;
}

static int get_file(struct ctl_transfer *transfer, const char *from, const char *to, mode_t mode,
                    void *buf)
{
    struct ros2_file *file;

    if (ros2_open(transfer->ctl->client, from, O_RDONLY, 0, &file) < 0)
        return ctl_fail_ros2(transfer->ctl);
    int code = is_special(transfer, to) ? write_special(transfer, file, to, buf)
                                        : get_open_file(transfer, file, to, mode, buf);
    ros2_close(file); /* nothing was written: nothing can be lost */
    return code;
}

/* root: the user has named it. Below, what the names lead to is up to the daemon: no link is followed there. */
static int make_directory(const struct ctl_transfer *transfer, const char *to, mode_t mode,
                          bool root)
{
    struct stat st;

    /* The files in it are still to come, so its owner must be able to write. */
    if (mkdir(to, (mode & 0777) | 0700) == 0)
        return CTL_OK;
    int err = errno;
    if (err == EEXIST && (root ? stat(to, &st) : lstat(to, &st)) == 0) {
        if (S_ISDIR(st.st_mode))
            return CTL_OK;
        if (S_ISLNK(st.st_mode))
            return ctl_error(transfer->ctl,
                             "make directory %s: a symbolic link has that name, and could lead out "
                             "of the destination; remove it, or get into what it points to",
                             to);
    }
    return ctl_fail_errno(transfer->ctl, "make directory", to, err);
}

static int visit(void *arg, const char *path, const char *rel, const struct stat *st)
{
    struct ctl_transfer *transfer = arg;

    if (ctl_stop_asked())
        return CTL_FAILURE;
    if (S_ISDIR(st->st_mode)) {
        if (!transfer->recursive)
            return ctl_error(transfer->ctl, "%s: is a directory; copy it with -r", path);
        char *to = ctl_path_join(transfer->roots[transfer->root_count - 1].to, rel);
        int code = to ? make_directory(transfer, to, st->st_mode, rel[0] == '\0')
                      : ctl_fail_memory(transfer->ctl);
        free(to);
        return code;
    }
    if (!S_ISREG(st->st_mode))
        return ctl_error(transfer->ctl, "%s: skipped, neither a file nor a directory", path);
    if (ctl_transfer_add_item(transfer, rel, (uint64_t)st->st_size, st->st_mode) < 0)
        return ctl_fail_memory(transfer->ctl);
    return CTL_OK;
}

static int run(struct get *get)
{
    struct ctl_transfer *transfer = &get->transfer;
    struct stat st;
    bool into = stat(get->dest, &st) == 0 && S_ISDIR(st.st_mode);
    int result = CTL_OK;

    if (!into &&
        (get->source_count > 1 || (ctl_path_ends_in_slash(get->dest) && !transfer->recursive)))
        return ctl_error(transfer->ctl, "%s: is no directory", get->dest);
    if (ctl_check_targets(transfer->ctl, get->sources, get->source_count, get->dest) != CTL_OK)
        return CTL_FAILURE;
    for (size_t i = 0; i < get->source_count && !ctl_stop_asked(); i++) {
        const char *source = get->sources[i];
        int code;
        if (ctl_transfer_add_root(transfer, strdup(source), ctl_target(source, get->dest, into)) <
            0)
            code = ctl_fail_memory(transfer->ctl);
        else
            code = ctl_remote_walk(transfer->ctl, source, transfer->recursive, visit, transfer);
        if (code != CTL_OK)
            result = code;
    }
    return ctl_transfer_run(transfer, result);
}

int ctl_get(struct ctl *ctl, int argc, char **argv)
{
    struct get get = {.transfer = {.ctl = ctl, .jobs = 4, .sync = true, .copy = get_file}};
    const struct argp_child children[] = {
        {&ctl_global_argp, 0, "Connection and output:", 1}, {&ctl_transfer_argp, 0, 0, 0}, {0}};
    const struct argp argp = {
        NULL,
        parse,
        "SOURCE... DEST",
        "Copies files out of the store. When DEST is a local directory, copies go into it.",
        children,
        0,
        0};

    argp_parse(&argp, argc, argv, 0, NULL, &get);
    ctl_stop_catch();
    int code = ctl_connect(ctl);
    if (code == CTL_OK)
        code = run(&get);
    ctl_transfer_free(&get.transfer);
    return code;
}
