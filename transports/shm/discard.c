/* SPDX-License-Identifier: Apache-2.0 */
/* The last close() of a file may wait for as long as its maker likes: a TCP socket that lingers, a file of a FUSE server that
 * does not answer. O_NONBLOCK changes nothing. So a descriptor that is not known to be harmless is closed by a thread that may
 * wait. Owner: none; a counter for the process. */
#include "config.h"

#include "transports/shm/discard.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

/* Threads that wait. More descriptors than these stay open: that costs less than a thread each. */
#define CLOSERS_MAX 32u
#define STACK       ((size_t)64 << 10)

static atomic_uint closers;

/* Memory of its own: nobody is asked when it is closed. */
static bool is_memfd(int fd)
{
    return fcntl(fd, F_GET_SEALS) >= 0;
}

static void *close_it(void *arg)
{
    close((int)(intptr_t)arg);
    atomic_fetch_sub(&closers, 1);
    return NULL;
}

static bool start_closer(int fd)
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
    int rc = pthread_create(&thread, &attr, close_it, (void *)(intptr_t)fd);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

void shm_discard(const struct ros2_host *host, int fd)
{
    if (is_memfd(fd)) {
        close(fd);
        return;
    }
    if (atomic_fetch_add(&closers, 1) < CLOSERS_MAX && start_closer(fd))
        return;
    atomic_fetch_sub(&closers, 1);
    host->log(ROS2_LOG_ERROR, "transport/shm",
              "a descriptor that a peer passed stays open: closing those before it has not come to "
              "an end; the connection that brought it is ended");
}
