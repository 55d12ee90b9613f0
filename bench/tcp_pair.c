/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP connection over loopback between this process and a child. Socket buffers are the kernel's own choice. */
#include "config.h"

#include "bench/tcp_pair.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"

static void no_delay(int fd)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        measure_die("TCP_NODELAY", errno);
}

static int listen_somewhere(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) < 0)
        measure_die("listen", errno);
    return fd;
}

void tcp_pair_open(struct tcp_pair *pair, void (*serve)(int fd, void *arg), void *arg)
{
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);

    pair->child = fork();
    if (pair->child < 0)
        measure_die("fork", errno);
    if (pair->child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a parent that is killed leaves no child that waits */
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            measure_die("accept", errno);
        close(listener);
        no_delay(fd);
        serve(fd, arg);
        _exit(0);
    }
    close(listener);
    pair->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair->fd < 0 || connect(pair->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        measure_die("connect", errno);
    no_delay(pair->fd);
}

double tcp_pair_close(struct tcp_pair *pair)
{
    close(pair->fd);
    if (waitpid(pair->child, NULL, 0) < 0)
        measure_die("waitpid", errno);
    return measure_cpu_s(RUSAGE_CHILDREN);
}
