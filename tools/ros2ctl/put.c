/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl put: local files into the store.
 *
 * A file is written under a hidden name beside its final one and renamed when it is whole: whatever ends a put, a
 * final name never shows half a file. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/path.h"
#include "tools/ros2ctl/remote.h"
#include "tools/ros2ctl/stop.h"
#include "tools/ros2ctl/transfer.h"
#include "tools/ros2ctl/verbs.h"

struct put {
    struct ctl_transfer transfer;
    char **sources;
    size_t source_count;
    const char *dest;
};

static const struct argp_option options[] = {
    {"dereference", 'L', 0, 0, "Follow symbolic links in the trees", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct put *put = state->input;

    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = put->transfer.ctl;
        state->child_inputs[1] = &put->transfer;
        return 0;
    case 'L':
        put->transfer.follow = true;
        return 0;
    case ARGP_KEY_ARGS:
        put->sources = state->argv + state->next;
        put->source_count = (size_t)(state->argc - state->next) - 1;
        put->dest = state->argv[state->argc - 1];
        return 0;
    case ARGP_KEY_END:
        if (put->source_count == 0)
            argp_error(state, "give what to copy, and where to");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Waits until fd has data, or the user has had enough: a read of a pipe would not notice that. */
static bool wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    while (!ctl_stop_asked()) {
        if (poll(&wait, 1, 100) != 0)
            return true; /* also on errors: the read will tell them */
    }
    return false;
}

/* From fd to its end. */
static int copy_bytes(struct ctl_transfer *transfer, int fd, const char *from,
                      struct ros2_file *file, void *buf)
{
    uint64_t offset = 0;

    while (wait_readable(fd)) {
        ssize_t got = read(fd, buf, CTL_TRANSFER_BUFFER);
        if (got == 0)
            return CTL_OK;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ctl_fail_errno(transfer->ctl, "read", from, errno);
        if (ros2_pwrite(file, buf, (size_t)got, offset) < 0)
            return ctl_fail_ros2(transfer->ctl);
        offset += (uint64_t)got;
        atomic_fetch_add(&transfer->progress.bytes, (uint64_t)got);
    }
    return CTL_FAILURE;
}

static int write_temporary(struct ctl_transfer *transfer, int fd, const char *from, const char *tmp,
                           mode_t mode, void *buf)
{
    struct ros2_file *file;

    if (ros2_open(transfer->ctl->client, tmp, O_WRONLY | O_CREAT | O_EXCL, mode, &file) < 0)
        return ctl_fail_ros2(transfer->ctl);
    int code = copy_bytes(transfer, fd, from, file, buf);
    if (ros2_close(file) < 0 && code == CTL_OK)
        code = ctl_fail_ros2(transfer->ctl);
    return code;
}

static int put_stream(struct ctl_transfer *transfer, int fd, const char *from, const char *to,
                      mode_t mode, void *buf)
{
    struct ros2_client *client = transfer->ctl->client;
    char *tmp = ctl_path_temporary(to);

    if (!tmp)
        return ctl_fail_memory(transfer->ctl);
    int code = write_temporary(transfer, fd, from, tmp, mode, buf);
    if (code == CTL_OK) {
        int rc = transfer->sync ? ros2_publish(client, tmp, to) : ros2_rename(client, tmp, to);
        if (rc < 0)
            code = ctl_fail_ros2(transfer->ctl);
    }
    if (code != CTL_OK) {
        int rc = ros2_unlink(client, tmp);
        if (rc < 0 && rc != -ENOENT)
            ctl_fail_ros2(transfer->ctl);
    }
    free(tmp);
    return code;
}

static int put_file(struct ctl_transfer *transfer, const char *from, const char *to, mode_t mode,
                    void *buf)
{
    struct stat st;

    if (strcmp(from, "-") == 0)
        return put_stream(transfer, STDIN_FILENO, "standard input", to, mode, buf);
    /* O_NONBLOCK: a fifo that took the file's place must not stop us. */
    int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return ctl_fail_errno(transfer->ctl, "open", from, errno);
    int code;
    if (fstat(fd, &st) < 0)
        code = ctl_fail_errno(transfer->ctl, "stat", from, errno);
    else if (!S_ISREG(st.st_mode))
        code = ctl_error(transfer->ctl, "%s: is no regular file any more", from);
    else
        code = put_stream(transfer, fd, from, to, mode, buf);
    close(fd);
    return code;
}

/* One directory of the path from the source down to here, to find links that lead in circles. */
struct level {
    const struct level *up;
    dev_t dev;
    ino_t ino;
};

static int scan(struct ctl_transfer *transfer, const char *rel, const struct level *up);

static int make_directory(const struct ctl_transfer *transfer, const char *to, mode_t mode)
{
    /* The files in it are still to come, so its owner must be able to write. */
    int rc = ros2_mkdir(transfer->ctl->client, to, (mode & 0777) | 0700);

    if (rc == 0)
        return CTL_OK;
    if (rc != -EEXIST)
        return ctl_fail_ros2(transfer->ctl);
    rc = ctl_remote_is_directory(transfer->ctl, to);
    if (rc == 0)
        return ctl_error(transfer->ctl, "make directory %s: a file has that name", to);
    return rc < 0 ? CTL_FAILURE : CTL_OK;
}

static int scan_entries(struct ctl_transfer *transfer, const char *from, const char *rel,
                        const struct level *level)
{
    struct dirent *entry;
    int result = CTL_OK;
    DIR *dir = opendir(from);

    if (!dir)
        return ctl_fail_errno(transfer->ctl, "open", from, errno);
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (!ctl_path_is_name(entry->d_name))
            continue;
        char *child = rel[0] == '\0' ? strdup(entry->d_name) : ctl_path_join(rel, entry->d_name);
        int code = child ? scan(transfer, child, level) : ctl_fail_memory(transfer->ctl);
        free(child);
        if (code != CTL_OK)
            result = code;
        if (ctl_stop_asked())
            break;
    }
    if (!entry && errno != 0)
        result = ctl_fail_errno(transfer->ctl, "list", from, errno);
    closedir(dir);
    return result;
}

static int scan_directory(struct ctl_transfer *transfer, const char *from, const char *to,
                          const char *rel, const struct stat *st, const struct level *up)
{
    const struct level level = {.up = up, .dev = st->st_dev, .ino = st->st_ino};

    if (!transfer->recursive)
        return ctl_error(transfer->ctl, "%s: is a directory; copy it with -r", from);
    for (; up; up = up->up) {
        if (up->dev == level.dev && up->ino == level.ino)
            return ctl_error(transfer->ctl, "%s: contains itself, through a symbolic link", from);
    }
    int code = make_directory(transfer, to, st->st_mode);
    return code == CTL_OK ? scan_entries(transfer, from, rel, &level) : code;
}

static int scan_node(struct ctl_transfer *transfer, const char *from, const char *to,
                     const char *rel, const struct level *up)
{
    struct stat st;
    /* A link that the user named is meant to be followed. */
    bool follow = transfer->follow || !up;

    if (fstatat(AT_FDCWD, from, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return ctl_fail_errno(transfer->ctl, "stat", from, errno);
    if (S_ISDIR(st.st_mode))
        return scan_directory(transfer, from, to, rel, &st, up);
    if (S_ISLNK(st.st_mode))
        return ctl_error(transfer->ctl, "%s: skipped a symbolic link; -L copies what it points to",
                         from);
    if (!S_ISREG(st.st_mode))
        return ctl_error(transfer->ctl, "%s: skipped, neither a file nor a directory", from);
    if (ctl_transfer_add_item(transfer, rel, (uint64_t)st.st_size, st.st_mode) < 0)
        return ctl_fail_memory(transfer->ctl);
    return CTL_OK;
}

/* Makes the directories in the store and lists the files, from rel in the newest root downwards. */
static int scan(struct ctl_transfer *transfer, const char *rel, const struct level *up)
{
    const struct ctl_root *root = &transfer->roots[transfer->root_count - 1];
    char *from = ctl_path_join(root->from, rel);
    char *to = ctl_path_join(root->to, rel);
    int code = from && to ? scan_node(transfer, from, to, rel, up) : ctl_fail_memory(transfer->ctl);

    free(from);
    free(to);
    return code;
}

static int add_source(struct put *put, const char *source, bool into)
{
    struct ctl_transfer *transfer = &put->transfer;
    bool stream = strcmp(source, "-") == 0;

    if (stream && into)
        return ctl_error(transfer->ctl, "%s: is a directory; name the file for standard input",
                         put->dest);
    if (ctl_transfer_add_root(transfer, strdup(source), ctl_target(source, put->dest, into)) < 0)
        return ctl_fail_memory(transfer->ctl);
    if (!stream)
        return scan(transfer, "", NULL);
    if (ctl_transfer_add_item(transfer, "", 0, 0644) < 0)
        return ctl_fail_memory(transfer->ctl);
    return CTL_OK;
}

static int run(struct put *put)
{
    struct ctl_transfer *transfer = &put->transfer;
    int into = ctl_remote_is_directory(transfer->ctl, put->dest);
    int result = CTL_OK;

    if (into < 0)
        return CTL_FAILURE;
    if (!into &&
        (put->source_count > 1 || (ctl_path_ends_in_slash(put->dest) && !transfer->recursive)))
        return ctl_error(transfer->ctl, "%s: is no directory", put->dest);
    if (ctl_check_targets(transfer->ctl, put->sources, put->source_count, put->dest) != CTL_OK)
        return CTL_FAILURE;
    for (size_t i = 0; i < put->source_count && !ctl_stop_asked(); i++) {
        if (add_source(put, put->sources[i], into) != CTL_OK)
            result = CTL_FAILURE;
    }
    return ctl_transfer_run(transfer, result);
}

int ctl_put(struct ctl *ctl, int argc, char **argv)
{
    struct put put = {.transfer = {.ctl = ctl, .jobs = 4, .sync = true, .copy = put_file}};
    const struct argp_child children[] = {
        {&ctl_global_argp, 0, "Connection and output:", 1}, {&ctl_transfer_argp, 0, 0, 0}, {0}};
    const struct argp argp = {
        options,
        parse,
        "SOURCE... DEST",
        "Copies local files into the store. When DEST is a directory there, copies go into it. "
        "SOURCE - is standard input.",
        children,
        0,
        0};

    argp_parse(&argp, argc, argv, 0, NULL, &put);
    ctl_stop_catch();
    int code = ctl_connect(ctl);
    if (code == CTL_OK)
        code = run(&put);
    ctl_transfer_free(&put.transfer);
    return code;
}
