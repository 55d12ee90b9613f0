/* SPDX-License-Identifier: Apache-2.0 */
/* Worker processes, forked once, as a DataLoader with persistent workers has them. Each shares a socket with the parent, which
 * keeps the ends of messages: the parent sends the number of an epoch, the worker answers with news. An end that is closed
 * says that the process behind it is gone, so that nobody waits for the dead. */
#include "examples/loader.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    pid_t pid;  /* 0: reaped */
    int socket; /* the parent's end */
    bool reading;
};

struct loader_workers {
    const struct loader_set *set;
    struct loader_reader *reader; /* without workers */
    unsigned count;
    struct worker worker[LOADER_WORKERS_MAX];
};

/* -- the worker's side -- */

static int send_news(void *arg, const struct loader_news *news)
{
    const int *socket = arg;

    /* Fails when the parent is gone or has had enough: then there is nobody to say it to. */
    return send(*socket, news, sizeof(*news), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int read_epochs(const struct loader_set *set, int socket, unsigned share, unsigned shares)
{
    struct loader_reader *reader;
    unsigned epoch;
    int rc = loader_reader_create(set, &reader);

    if (rc < 0)
        return rc;
    while (rc == 0 && recv(socket, &epoch, sizeof(epoch), 0) == (ssize_t)sizeof(epoch))
        rc = loader_reader_epoch(reader, epoch, share, shares, send_news, &socket);
    loader_reader_destroy(reader);
    return rc;
}

/* What the parent opened, client and index, serves the child as well; the library gives it connections of its own. */
static _Noreturn void run_worker(struct loader_workers *workers, int socket, unsigned share,
                                 unsigned shares)
{
    struct loader_set set = *workers->set;

    /* Else this process would keep the ends of its elder siblings open when the parent is gone. */
    for (unsigned i = 0; i < workers->count; i++)
        close(workers->worker[i].socket);
    loader_name_worker(share);
    int rc = read_epochs(&set, socket, share, shares);
    loader_set_close(&set);
    _exit(rc < 0 ? 1 : 0); /* not exit(): buffers of stdio and atexit() are the parent's */
}

/* -- the parent's side -- */

static int start_worker(struct loader_workers *workers, unsigned shares)
{
    struct worker *worker = &workers->worker[workers->count];
    int end[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, end) < 0)
        return loader_fail(-errno, "socket for a worker: %s", strerror(errno));
    worker->pid = fork();
    if (worker->pid == 0) {
        close(end[0]);
        run_worker(workers, end[1], workers->count, shares);
    }
    int err = errno;
    close(end[1]);
    if (worker->pid < 0) {
        close(end[0]);
        return loader_fail(-err, "fork of worker %u: %s", workers->count, strerror(err));
    }
    worker->socket = end[0];
    workers->count++;
    return 0;
}

int loader_workers_start(const struct loader_set *set, unsigned count,
                         struct loader_workers **workers_p)
{
    struct loader_workers *workers = calloc(1, sizeof(*workers));

    if (!workers)
        return loader_fail(-ENOMEM, "out of memory");
    workers->set = set;
    fflush(NULL); /* what the parent has not yet printed is not the children's to print */
    int rc = count == 0 ? loader_reader_create(set, &workers->reader) : 0;
    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = start_worker(workers, count);
    if (rc < 0) {
        loader_workers_stop(workers);
        return rc;
    }
    *workers_p = workers;
    return 0;
}

/* A worker has ended before its epoch did. */
static int explain_loss(struct worker *worker, unsigned number)
{
    int status = 0;

    waitpid(worker->pid, &status, 0);
    worker->pid = 0;
    if (WIFSIGNALED(status))
        return loader_fail(-ECHILD, "worker %u: %s", number, strsignal(WTERMSIG(status)));
    return -ECHILD; /* it could not begin, and has said why */
}

static int take_news(struct worker *worker, unsigned number, loader_news_fn *fn, void *arg)
{
    struct loader_news news;

    if (recv(worker->socket, &news, sizeof(news), 0) != (ssize_t)sizeof(news))
        return explain_loss(worker, number);
    if (news.ended)
        worker->reading = false;
    int rc = fn(arg, &news);
    return news.error < 0 ? news.error : rc;
}

static unsigned count_reading(const struct loader_workers *workers)
{
    unsigned reading = 0;

    for (unsigned i = 0; i < workers->count; i++)
        reading += workers->worker[i].reading;
    return reading;
}

static int wait_for_news(struct loader_workers *workers, loader_news_fn *fn, void *arg)
{
    struct pollfd wanted[LOADER_WORKERS_MAX];

    for (unsigned i = 0; i < workers->count; i++)
        wanted[i] = (struct pollfd){.fd = workers->worker[i].socket, .events = POLLIN};
    if (poll(wanted, workers->count, -1) < 0)
        return errno == EINTR ? 0 : loader_fail(-errno, "poll: %s", strerror(errno));
    for (unsigned i = 0; i < workers->count; i++) {
        int rc = wanted[i].revents ? take_news(&workers->worker[i], i, fn, arg) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int loader_workers_epoch(struct loader_workers *workers, unsigned epoch, loader_news_fn *fn,
                         void *arg)
{
    int rc = 0;

    if (workers->reader)
        return loader_reader_epoch(workers->reader, epoch, 0, 1, fn, arg);
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->worker[i];
        if (send(worker->socket, &epoch, sizeof(epoch), MSG_NOSIGNAL) < 0)
            return explain_loss(worker, i);
        worker->reading = true;
    }
    while (rc == 0 && count_reading(workers) > 0)
        rc = wait_for_news(workers, fn, arg);
    return rc;
}

void loader_workers_stop(struct loader_workers *workers)
{
    if (!workers)
        return;
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->worker[i];
        close(worker->socket);
        /* Only after a failure: it would notice after its batch, which may be a timeout away. */
        if (worker->pid > 0 && worker->reading)
            kill(worker->pid, SIGTERM);
    }
    for (unsigned i = 0; i < workers->count; i++) {
        if (workers->worker[i].pid > 0)
            waitpid(workers->worker[i].pid, NULL, 0);
    }
    loader_reader_destroy(workers->reader);
    free(workers);
}
