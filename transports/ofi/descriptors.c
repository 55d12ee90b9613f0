/* SPDX-License-Identifier: Apache-2.0 */
/* What a queue waits on is an epoll set, whose members the kernel lists in /proc/self/fdinfo ("tfd:", proc(5)): the sockets
 * of connections and listeners, and the reading end of the pair that wakes it. The writing end of that pair, which leads
 * nowhere else, is not found. A set that was inherited by fork is the parent's too: its list may name what only the parent has,
 * so each number is taken only when the same socket is behind it. Owner: the domain's thread. */
#include "config.h"

#include "transports/ofi/descriptors.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <rdma/fi_eq.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* As transport tcp sets them. */
#define IDLE_S          5
#define INTERVAL_S      2
#define PROBES          3
#define USER_TIMEOUT_MS 15000u
/* libfabric 1.17 receives the first bytes of a connection with a socket that blocks. */
#define RECEIVE_US 1000

/* Of a device it is a character special file that events of connections come from. */
static bool is_ours(int fd, unsigned long ino)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode)) && st.st_ino == ino;
}

static void each(int epoll_fd, void (*visit)(int fd))
{
    char path[48], line[256];
    unsigned long ino;
    int fd;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll_fd);
    FILE *list = fopen(path, "re");
    if (!list)
        return; /* no /proc: they stay as they are */
    while (fgets(line, sizeof line, list))
        if (sscanf(line, "tfd: %d events: %*x data: %*x pos:%*i ino:%lx", &fd, &ino) == 2 &&
            is_ours(fd, ino))
            visit(fd);
    fclose(list);
}

static void keep_from_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0 && !(flags & FD_CLOEXEC))
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static void set_up(int fd)
{
    const struct timeval receive = {.tv_usec = RECEIVE_US};
    const int on = 1, idle = IDLE_S, interval = INTERVAL_S, probes = PROBES;
    const unsigned timeout = USER_TIMEOUT_MS;

    keep_from_exec(fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof receive);
    /* Refused by the pair that wakes the queue, which is no TCP. */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

static void drop(int fd)
{
    close(fd);
}

void ofi_descriptors_set_up(struct fid *queue)
{
    int fd;

    if (fi_control(queue, FI_GETWAIT, &fd) < 0)
        return;
    keep_from_exec(fd);
    each(fd, set_up);
}

void ofi_descriptors_drop(struct fid *queue)
{
    int fd;

    if (fi_control(queue, FI_GETWAIT, &fd) < 0)
        return;
    each(fd, drop);
    close(fd);
}
