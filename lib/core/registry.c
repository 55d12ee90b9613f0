/* SPDX-License-Identifier: Apache-2.0 */
/* The process's only list of clients, and the only global state of lib/core but for the fork gate and the thread key. */
#include "config.h"

#include "lib/core/registry.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by lock: */
static struct ros2_client *clients;
static uint64_t last_serial;

void ros2i_registry_lock(void)
{
    pthread_mutex_lock(&lock);
}

void ros2i_registry_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void ros2i_registry_add(struct ros2_client *client)
{
    pthread_mutex_lock(&lock);
    client->serial = ++last_serial;
    client->next = clients;
    clients = client;
    pthread_mutex_unlock(&lock);
}

struct ros2_client *ros2i_registry_first(void)
{
    return clients;
}

struct ros2_client *ros2i_registry_find(uint64_t serial)
{
    for (struct ros2_client *client = clients; client; client = client->next)
        if (client->serial == serial)
            return client;
    return NULL;
}

void ros2i_registry_remove(struct ros2_client *client)
{
    struct ros2_client **link = &clients;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
}
