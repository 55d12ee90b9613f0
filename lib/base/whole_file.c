/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a whole file. The buffer has its final size from the start, so that no copy of a key is left behind by a
 * realloc(). */
#include "config.h"

#include "lib/base/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/secret.h"

static int open_regular(const char *path, const char *what, size_t max, bool secret, int *fd_p,
                        size_t *size_p)
{
    struct stat st;
    int rc;
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

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
    rc = secret ? ros2i_secret_check_mode(&st, path, what) : 0;
    if (rc < 0)
        goto close_fd;
    if (st.st_size < 0 || (uintmax_t)st.st_size > max) {
        rc = ros2i_fail(EFBIG, "%s file %s is longer than %zu bytes", what, path, max);
        goto close_fd;
    }
    *fd_p = fd;
    *size_p = (size_t)st.st_size;
    return 0;
close_fd:
    close(fd);
    return rc;
}

static int read_file(const char *path, const char *what, size_t max, bool secret, char **data_p,
                     size_t *len_p)
{
    int fd = -1;
    size_t size = 0, have = 0;
    int rc = open_regular(path, what, max, secret, &fd, &size);

    if (rc < 0)
        return rc;
    char *data = malloc(size + 1);
    if (!data) {
        rc = ros2i_fail(ENOMEM, "%s file %s: no memory for %zu bytes", what, path, size + 1);
        goto close_fd;
    }
    while (have < size) {
        ssize_t n = read(fd, data + have, size - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = ros2i_fail(errno, "%s file %s: read: %s", what, path, ros2i_strerror(errno));
            goto free_data;
        }
        if (n == 0)
            break;
        have += (size_t)n;
    }
    close(fd);
    data[have] = '\0';
    *data_p = data;
    *len_p = have;
    return 0;
free_data:
    ros2i_wipe(data, size);
    free(data);
close_fd:
    close(fd);
    return rc;
}

int ros2i_whole_file_read(const char *path, const char *what, size_t max, char **data_p,
                          size_t *len_p)
{
    return read_file(path, what, max, false, data_p, len_p);
}

int ros2i_whole_file_read_secret(const char *path, const char *what, size_t max, char **data_p,
                                 size_t *len_p)
{
    return read_file(path, what, max, true, data_p, len_p);
}
