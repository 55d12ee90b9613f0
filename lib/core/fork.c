/* SPDX-License-Identifier: Apache-2.0 */
/* The three halves of fork(). Runs in the forking thread.
 *
 * prepare takes the registry's and every client's lock, stops the queues at the gate and shuts gRPC down; parent and child
 * undo it. The child keeps clients and files, drops all queues (their descriptors are closed without a word on the wire),
 * and gets a new nonce for each client; it attaches with its next call. Locks of files that other threads held at that moment
 * have lost their holders: they are made anew. */
#include "config.h"

#include "lib/core/fork.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/base/shared_memory.h"
#include "lib/core/async.h"
#include "lib/core/file.h"
#include "lib/core/implicit.h"
#include "lib/core/queue.h"
#include "lib/core/registry.h"

_Atomic bool ros2i_fork_gate;

void ros2i_fork_wait(_Atomic bool *busy)
{
    const struct timespec pause = {0, 50000};
    do {
        atomic_store(busy, false);
        while (atomic_load(&ros2i_fork_gate))
            nanosleep(&pause, NULL);
        atomic_store(busy, true);
    } while (atomic_load(&ros2i_fork_gate));
}

/* Guarded by the registry's lock, which is held from prepare() on. */
static int cancel_state;

void ros2i_fork_stop(void)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    ros2i_registry_lock();
    cancel_state = state;
    for (struct ros2_client *client = ros2i_registry_first(); client; client = client->next)
        pthread_mutex_lock(&client->lock);
    atomic_store(&ros2i_fork_gate, true);
    for (struct ros2_client *client = ros2i_registry_first(); client; client = client->next)
        for (struct ros2i_queue *queue = client->queues; queue; queue = queue->next)
            /* The forking thread's own queue is busy only if a signal handler forks in the middle of a call of ours, which
             * POSIX does not allow a threaded program to go on from. */
            while (atomic_load(&queue->busy) && !pthread_equal(queue->owner, pthread_self()))
                sched_yield();
}

static void prepare(void)
{
    ros2i_fork_stop();
    ros2i_control_fork_prepare();
    ros2i_shared_fork_prepare();
}

void ros2i_fork_go_on(void)
{
    int state = cancel_state;
    atomic_store(&ros2i_fork_gate, false);
    for (struct ros2_client *client = ros2i_registry_first(); client; client = client->next)
        pthread_mutex_unlock(&client->lock);
    ros2i_registry_unlock();
    pthread_setcancelstate(state, NULL);
}

static void parent(void)
{
    ros2i_shared_fork_parent();
    ros2i_control_fork_parent();
    ros2i_fork_go_on();
}

static void renew_client(struct ros2_client *client)
{
    while (client->queues)
        ros2i_queue_abandon(client->queues);
    for (struct ros2_queue *queue = client->async_queues; queue; queue = queue->next)
        ros2i_async_after_fork(queue);
    ros2i_worker_after_fork(client);
    ros2i_registration_after_fork(client);
    ros2i_endpoints_after_fork(client);
    client->retired_count = 0;
    client->next_number = 0;
    client->inherited = true;
    atomic_store(&client->attached, false);
    /* Without randomness the nonce stays the parent's, and attaching fails with a clear text: see ros2i_client_attach(). */
    if (ros2i_random(client->nonce, sizeof(client->nonce)) < 0)
        for (size_t i = 0; i < sizeof(client->nonce); i++)
            client->nonce[i] = 0;
    for (struct ros2_file *file = client->files; file; file = file->next)
        ros2i_file_after_fork(file);
}

static void child(void)
{
    ros2i_shared_fork_child(); /* first: the channels that go give their memory back to its table */
    ros2i_control_fork_child();
    ros2i_implicit_forget();
    for (struct ros2_client *client = ros2i_registry_first(); client; client = client->next)
        renew_client(client);
    ros2i_fork_go_on();
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int install_error;

static void install(void)
{
    install_error = pthread_atfork(prepare, parent, child);
}

int ros2i_fork_install(void)
{
    pthread_once(&once, install);
    return install_error == 0
               ? 0
               : ros2i_fail(install_error, "fork handlers: %s", ros2i_strerror(install_error));
}
