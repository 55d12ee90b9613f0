/* SPDX-License-Identifier: Apache-2.0 */
/* The last close() of a file may wait for as long as its maker likes: a TCP socket that lingers, a file of a FUSE server that
 * does not answer. O_NONBLOCK changes nothing. So a descriptor that is not known to be harmless is closed by a thread that may
 * wait. Owner: none; a list for the process, guarded by a mutex. */
#include "config.h"

#include "transports/shm/discard.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

/* Threads that wait, and descriptors that wait for one of them. */
#define CLOSERS_MAX 32u
#define WAITING_MAX 1024u
#define STACK       ((size_t)64 << 10)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned closers, waiting_count; /* guarded by mutex */
static int waiting[WAITING_MAX];        /* guarded by mutex */

/* Memory of its own: nobody is asked when it is closed. */
static bool is_memfd(int fd)
{
    return fcntl(fd, F_GET_SEALS) >= 0;
}

/* -1: there is nothing left to do, and the caller is no closer any more. */
static int next_waiting(void)
{
    int fd = -1;

    pthread_mutex_lock(&mutex);
    if (waiting_count > 0)
        fd = waiting[--waiting_count];
    else
        closers--;
    pthread_mutex_unlock(&mutex);
    return fd;
}

static void *close_all(void *arg)
{
    (void)arg;
    for (int fd; (fd = next_waiting()) >= 0;)
        close(fd);
    return NULL;
}

static bool start_closer(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;

    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all); /* the application's signals are not for it */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&thread, &attr, close_all, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

/* The lock is a matter of descriptors that should not have come; no other path takes it. */
static bool put_waiting(int fd)
{
    bool put;

    pthread_mutex_lock(&mutex);
    put = waiting_count < WAITING_MAX;
    if (put)
        waiting[waiting_count++] = fd;
    if (put && closers < CLOSERS_MAX && start_closer())
        closers++;
    pthread_mutex_unlock(&mutex);
    return put;
}

void shm_discard(const struct ros2_host *host, int fd)
{
    static const struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (is_memfd(fd)) {
        close(fd);
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none); /* the cheapest of attacks */
    if (put_waiting(fd))
        return;
    host->log(
        ROS2_LOG_ERROR, "transport/shm",
        "a descriptor that a peer passed stays open: %u others wait for their close() to come "
        "to an end",
        WAITING_MAX);
}
