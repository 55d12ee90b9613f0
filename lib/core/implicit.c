/* SPDX-License-Identifier: Apache-2.0 */
/* Per-thread caches of queues. A cache is its thread's alone; an entry names its client by serial, which is never used
 * again, so an entry of a client that is gone is never followed, only dropped. */
#include "config.h"

#include "lib/core/implicit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/core/registry.h"

struct entry {
    uint64_t serial;
    struct ros2i_queue *queue;
};

struct cache {
    size_t count, capacity;
    struct entry entry[];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

/* The thread ends: closes its queues, of the clients that still exist. */
static void end_of_thread(void *value)
{
    struct cache *cache = value;
    ros2i_registry_lock();
    for (size_t i = 0; i < cache->count; i++) {
        struct ros2_client *client = ros2i_registry_find(cache->entry[i].serial);
        if (!client)
            continue; /* ros2_disconnect() has closed the queue */
        pthread_mutex_lock(&client->lock);
        ros2i_queue_destroy(cache->entry[i].queue);
        pthread_mutex_unlock(&client->lock);
    }
    ros2i_registry_unlock();
    free(cache);
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, end_of_thread);
}

static void drop_dead_entries(struct cache *cache)
{
    size_t kept = 0;
    ros2i_registry_lock();
    for (size_t i = 0; i < cache->count; i++)
        if (ros2i_registry_find(cache->entry[i].serial))
            cache->entry[kept++] = cache->entry[i];
    ros2i_registry_unlock();
    cache->count = kept;
}

/* A cache with room for one more entry. */
static int make_room(struct cache **cache_p)
{
    struct cache *cache = *cache_p;
    if (cache && cache->count == cache->capacity)
        drop_dead_entries(cache);
    if (cache && cache->count < cache->capacity)
        return 0;
    size_t capacity = cache ? 2 * cache->capacity : 4;
    struct cache *grown = realloc(cache, sizeof(*grown) + capacity * sizeof(grown->entry[0]));
    if (!grown)
        return ros2i_fail(ENOMEM, "queue of this thread: out of memory");
    if (!cache)
        grown->count = 0;
    grown->capacity = capacity;
    *cache_p = grown;
    return 0;
}

static int add_queue(struct ros2_client *client, struct cache *cache, struct ros2i_queue **queue_p)
{
    int rc = make_room(&cache);
    if (rc < 0)
        return rc;
    rc = pthread_setspecific(key, cache);
    if (rc != 0) {
        free(cache);
        return ros2i_fail(rc, "queue of this thread: %s", ros2i_strerror(rc));
    }
    struct entry *entry = &cache->entry[cache->count];
    rc = ros2i_queue_create(client, &entry->queue);
    if (rc < 0)
        return rc;
    entry->serial = client->serial;
    cache->count++;
    *queue_p = entry->queue;
    return 0;
}

int ros2i_implicit_queue(struct ros2_client *client, struct ros2i_queue **queue_p)
{
    pthread_once(&once, make_key);
    if (key_error != 0)
        return ros2i_fail(key_error, "queue of this thread: no thread-specific key is left");
    struct cache *cache = pthread_getspecific(key);
    for (size_t i = 0; cache && i < cache->count; i++) {
        if (cache->entry[i].serial == client->serial) {
            *queue_p = cache->entry[i].queue;
            return 0;
        }
    }
    return add_queue(client, cache, queue_p);
}

static int64_t run(struct ros2_client *client, struct ros2i_op *op)
{
    struct ros2i_queue *queue;
    int rc = ros2i_implicit_queue(client, &queue);
    if (rc < 0)
        return rc;
    rc = ros2i_queue_submit(queue, op);
    return rc < 0 ? rc : ros2i_queue_wait(queue, op);
}

int64_t ros2i_implicit_run(struct ros2_client *client, struct ros2i_op *op)
{
    /* A cancellation in here would unwind op and the caller's buffer under the channel that still uses them. */
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int64_t result = run(client, op);
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}

void ros2i_implicit_forget(void)
{
    pthread_once(&once, make_key);
    if (key_error != 0)
        return;
    free(pthread_getspecific(key));
    pthread_setspecific(key, NULL);
}
