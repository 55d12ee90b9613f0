/* SPDX-License-Identifier: Apache-2.0 */
/* What a queue waits on is an epoll set, whose members the kernel lists in /proc/self/fdinfo ("tfd:", proc(5)): the sockets
 * of connections and listeners, and the reading end of the pair that wakes it. The writing end of that pair, which leads
 * nowhere else, is not found. Owner: the domain's thread. */
#include "config.h"

#include "transports/ofi/descriptors.h"

#include <fcntl.h>
#include <rdma/fi_eq.h>
#include <stdio.h>
#include <unistd.h>

static void each(int epoll_fd, void (*visit)(int fd))
{
    char path[48], line[256];
    int fd;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll_fd);
    FILE *list = fopen(path, "re");
    if (!list)
        return; /* no /proc: they stay open */
    while (fgets(line, sizeof line, list))
        if (sscanf(line, "tfd: %d", &fd) == 1)
            visit(fd);
    fclose(list);
}

static void keep_from_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0 && !(flags & FD_CLOEXEC))
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static void drop(int fd)
{
    close(fd);
}

void ofi_descriptors_keep_from_exec(struct fid *queue)
{
    int fd;

    if (fi_control(queue, FI_GETWAIT, &fd) < 0)
        return;
    keep_from_exec(fd);
    each(fd, keep_from_exec);
}

void ofi_descriptors_drop(struct fid *queue)
{
    int fd;

    if (fi_control(queue, FI_GETWAIT, &fd) < 0)
        return;
    each(fd, drop);
    close(fd);
}
