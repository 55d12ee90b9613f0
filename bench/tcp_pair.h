/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP connection over loopback between this process and a child. */
#ifndef BENCH_TCP_PAIR_H
#define BENCH_TCP_PAIR_H

#include <sys/types.h>

struct tcp_pair {
    int fd;
    pid_t child;
};

/* Forks; the child runs serve(fd, arg) on its end and ends. */
void tcp_pair_open(struct tcp_pair *pair, void (*serve)(int fd, void *arg), void *arg);
/* Closes, waits for the child, and returns the CPU time that it took in all. */
double tcp_pair_close(struct tcp_pair *pair);

#endif
