/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of threads with one queue. Always holds: a work is in exactly one place (the queue, a strand, a thread, a
 * finished list), since its one link is what chains it there. */
#include "config.h"

#include "engines/posix/pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct ros2i_pool {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct ros2i_work *head, **tail; /* guarded by mutex */
    bool stop;                       /* guarded by mutex */
    unsigned threads_count;
    pthread_t threads[];
};

static void *thread_main(void *arg)
{
    struct ros2i_pool *pool = arg;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->head && !pool->stop)
            pthread_cond_wait(&pool->filled, &pool->mutex);
        struct ros2i_work *work = pool->head;
        if (!work)
            break;
        pool->head = work->next;
        if (!pool->head)
            pool->tail = &pool->head;
        pthread_mutex_unlock(&pool->mutex);
        work->run(work);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void stop_and_join(struct ros2i_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->filled);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->threads_count; i++)
        pthread_join(pool->threads[i], NULL);
}

static void free_pool(struct ros2i_pool *pool)
{
    pthread_cond_destroy(&pool->filled);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* The process's signals are its own threads' business. */
static int start_threads(struct ros2i_pool *pool, unsigned threads)
{
    sigset_t all, before;
    int err = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!err && pool->threads_count < threads) {
        err = pthread_create(&pool->threads[pool->threads_count], NULL, thread_main, pool);
        if (!err)
            pool->threads_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

int ros2i_pool_create(unsigned threads, struct ros2i_pool **pool_p)
{
    struct ros2i_pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->filled, NULL);
    pool->tail = &pool->head;
    int rc = start_threads(pool, threads);
    if (rc < 0) {
        stop_and_join(pool);
        free_pool(pool);
        return rc;
    }
    *pool_p = pool;
    return 0;
}

void ros2i_pool_destroy(struct ros2i_pool *pool)
{
    stop_and_join(pool);
    free_pool(pool);
}

/* The lock is short and taken only for what is about to cost a thread switch anyway. */
void ros2i_pool_submit(struct ros2i_pool *pool, struct ros2i_work *work)
{
    work->next = NULL;
    pthread_mutex_lock(&pool->mutex);
    *pool->tail = work;
    pool->tail = &work->next;
    pthread_cond_signal(&pool->filled);
    pthread_mutex_unlock(&pool->mutex);
}

/* One work a turn, then to the back of the pool's queue: a busy strand keeps others waiting for one work at most. */
static void strand_run(struct ros2i_work *self)
{
    struct ros2i_strand *strand = (struct ros2i_strand *)self; /* self is its first member */

    pthread_mutex_lock(&strand->mutex);
    struct ros2i_work *work = strand->head;
    strand->head = work->next;
    if (!strand->head)
        strand->tail = &strand->head;
    pthread_mutex_unlock(&strand->mutex);

    work->run(work);

    pthread_mutex_lock(&strand->mutex);
    strand->scheduled = strand->head != NULL;
    if (strand->scheduled)
        ros2i_pool_submit(strand->pool, &strand->self);
    pthread_mutex_unlock(&strand->mutex);
}

void ros2i_strand_init(struct ros2i_strand *strand, struct ros2i_pool *pool)
{
    *strand = (struct ros2i_strand){.self = {.run = strand_run}, .pool = pool};
    strand->tail = &strand->head;
    pthread_mutex_init(&strand->mutex, NULL);
}

void ros2i_strand_fini(struct ros2i_strand *strand)
{
    pthread_mutex_destroy(&strand->mutex);
}

void ros2i_strand_submit(struct ros2i_strand *strand, struct ros2i_work *work)
{
    work->next = NULL;
    pthread_mutex_lock(&strand->mutex);
    *strand->tail = work;
    strand->tail = &work->next;
    if (!strand->scheduled) {
        strand->scheduled = true;
        ros2i_pool_submit(strand->pool, &strand->self);
    }
    pthread_mutex_unlock(&strand->mutex);
}

int ros2i_finished_init(struct ros2i_finished *finished)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    atomic_init(&finished->head, NULL);
    finished->fd = fd;
    finished->owed = 0;
    return 0;
}

static void signal_owner(struct ros2i_finished *finished)
{
    uint64_t one = 1;
    ssize_t n = write(finished->fd, &one, sizeof(one)); /* fails only at 2^64 - 1 unread signals */
    (void)n;
}

/* Only the push onto an empty list signals: exactly one signal per batch that the owner takes. */
void ros2i_finished_push(struct ros2i_finished *finished, struct ros2i_work *work)
{
    struct ros2i_work *old = atomic_load_explicit(&finished->head, memory_order_relaxed);
    do {
        work->next = old;
    } while (!atomic_compare_exchange_weak_explicit(&finished->head, &old, work,
                                                    memory_order_release, memory_order_relaxed));
    if (!old)
        signal_owner(finished);
}

void ros2i_finished_nudge(struct ros2i_finished *finished)
{
    finished->owed++;
    signal_owner(finished);
}

static void read_signals(struct ros2i_finished *finished)
{
    uint64_t count;
    if (read(finished->fd, &count, sizeof(count)) == sizeof(count))
        finished->owed -= (int64_t)count;
}

/* Takes a batch off, newest first, and puts it oldest first before list. */
static struct ros2i_work *take_batch(struct ros2i_finished *finished, struct ros2i_work **tail)
{
    if (!atomic_load_explicit(&finished->head, memory_order_relaxed))
        return NULL;
    struct ros2i_work *batch =
        atomic_exchange_explicit(&finished->head, NULL, memory_order_acquire);
    struct ros2i_work *list = NULL;
    *tail = batch;
    while (batch) {
        struct ros2i_work *next = batch->next;
        batch->next = list;
        list = batch;
        batch = next;
    }
    finished->owed++;
    return list;
}

/* Signals are read only when one is owed: no system call on a poll that finds nothing. What was pushed before a signal
 * that is read here must be taken here, or nothing would wake the owner for it: hence the second take. */
struct ros2i_work *ros2i_finished_take(struct ros2i_finished *finished)
{
    struct ros2i_work *tail = NULL, *more_tail = NULL;
    struct ros2i_work *list = take_batch(finished, &tail);
    if (finished->owed == 0)
        return list;
    read_signals(finished);
    struct ros2i_work *more = take_batch(finished, &more_tail);
    if (!list)
        return more;
    tail->next = more;
    return list;
}

void ros2i_finished_fini(struct ros2i_finished *finished)
{
    while (finished->owed > 0) {
        struct pollfd p = {.fd = finished->fd, .events = POLLIN};
        poll(&p, 1, -1);
        read_signals(finished);
    }
    close(finished->fd);
}
