/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in memory and in files. What was read and is not handed out is wiped before its memory goes back. */
#include "config.h"

#include "lib/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"

void ros2i_wipe(void *buf, size_t len)
{
    if (len > 0)
        explicit_bzero(buf, len);
}

bool ros2i_secret_equal(const void *a, const void *b, size_t len)
{
    /* volatile: each byte is looked at, whatever the first difference is. */
    const volatile uint8_t *x = a, *y = b;
    uint8_t difference = 0;

    for (size_t i = 0; i < len; i++)
        difference = (uint8_t)(difference | (x[i] ^ y[i]));
    return difference == 0;
}

int ros2i_secret_check_mode(const struct stat *st, const char *path, const char *what)
{
    if ((st->st_mode & 007) == 0)
        return 0;
    return ros2i_fail(EACCES, "%s file %s has mode %04o, open to every user; chmod 600 %s", what,
                      path, (unsigned)(st->st_mode & 07777), path);
}

static int open_secret(const char *path, const char *what, int *fd_p)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int rc;

    if (fd < 0)
        return ros2i_fail(errno, "%s file %s: %s", what, path, ros2i_strerror(errno));
    if (fstat(fd, &st) < 0) {
        rc = ros2i_fail(errno, "%s file %s: fstat: %s", what, path, ros2i_strerror(errno));
        goto close_fd;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = ros2i_fail(EINVAL, "%s file %s is not a regular file", what, path);
        goto close_fd;
    }
    rc = ros2i_secret_check_mode(&st, path, what);
    if (rc < 0)
        goto close_fd;
    *fd_p = fd;
    return 0;
close_fd:
    close(fd);
    return rc;
}

/* Fills buf up to len or end of file; returns bytes or -errno. */
static ssize_t read_up_to(int fd, char *buf, size_t len)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n = read(fd, buf + have, len - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* Cuts buf (have bytes, room for one more) to its first line. */
static int first_line(char *buf, size_t have, size_t max, const char *path, const char *what)
{
    char *end = memchr(buf, '\n', have);
    size_t len = end ? (size_t)(end - buf) : have;

    if (len == 0)
        return ros2i_fail(EINVAL, "%s file %s: its first line is empty; put the %s there", what,
                          path, what);
    if (len > max)
        return ros2i_fail(EINVAL, "%s file %s: its first line is longer than %zu bytes", what, path,
                          max);
    if (memchr(buf, '\0', len))
        return ros2i_fail(EINVAL, "%s file %s: its first line holds a NUL byte; it must be text",
                          what, path);
    ros2i_wipe(buf + len, have - len);
    buf[len] = '\0';
    return 0;
}

int ros2i_secret_read_file(const char *path, const char *what, size_t max, char **secret_p)
{
    int fd = -1, rc = open_secret(path, what, &fd);

    if (rc < 0)
        return rc;
    size_t room = max + 1; /* one more than allowed, to see that a line is too long */
    char *buf = malloc(room + 1);
    if (!buf) {
        rc = ros2i_fail(ENOMEM, "%s file %s: no memory for %zu bytes", what, path, room + 1);
        goto close_fd;
    }
    ssize_t have = read_up_to(fd, buf, room);
    if (have < 0) {
        rc = ros2i_fail((int)-have, "%s file %s: read: %s", what, path, ros2i_strerror((int)-have));
        goto free_buf;
    }
    rc = first_line(buf, (size_t)have, max, path, what);
    if (rc < 0)
        goto free_buf;
    close(fd);
    *secret_p = buf;
    return 0;
free_buf:
    ros2i_wipe(buf, room + 1);
    free(buf);
close_fd:
    close(fd);
    return rc;
}

void ros2i_secret_free(char *secret)
{
    if (!secret)
        return;
    ros2i_wipe(secret, strlen(secret));
    free(secret);
}
