/* SPDX-License-Identifier: Apache-2.0 */
/* What ros2_transports() tells: the daemon's offer, this process's means and the choice that was made, in one list. Any thread;
 * all that it reads of the client is fixed after connect, but for the transport that a forked child changed to. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"
#include "lib/core/client.h"
#include "ros2/client.h"

_Static_assert(sizeof(((struct ros2_transport_state *)0)->name) == ROS2I_TRANSPORT_NAME_MAX,
               "every name fits");

/* Those that libros2 comes with. */
static const char *const known[] = {"shm", "tcp", "ofi+verbs", "ofi+tcp", "ucx+rc", "ucx+tcp"};

#define MOST (ROS2I_ENDPOINTS_MAX + sizeof(known) / sizeof(known[0]))

struct report {
    const struct ros2_client *client;
    struct ros2_transport_state *list;
    size_t capacity, count;
    const char *names[MOST];
};

static bool is_offered(const struct ros2_client *client, const char *name)
{
    for (uint32_t i = 0; i < client->session.endpoint_count; i++)
        if (strcmp(client->session.endpoint[i].transport, name) == 0)
            return true;
    return false;
}

static void judge(const struct ros2_client *client, struct ros2_transport_state *state)
{
    const struct ros2_transport_ops *ops;

    state->chosen = strcmp(client->ops->name, state->name) == 0;
    state->usable = 1;
    if (state->chosen)
        return;
    for (unsigned i = 0; i < client->refusal_count; i++) {
        if (strcmp(client->refusal[i].name, state->name) != 0)
            continue;
        state->usable = 0;
        snprintf(state->why, sizeof(state->why), "%s", client->refusal[i].why);
        return;
    }
    int rc = ros2i_plugin_transport(state->name, &ops);
    if (rc == 0)
        rc = ros2i_endpoints_in_networks(client, state->name);
    if (rc == 0 && ops->available)
        rc = ops->available(&ros2i_host, NULL);
    if (rc < 0) {
        state->usable = 0;
        snprintf(state->why, sizeof(state->why), "%s", ros2i_error());
    }
}

static void add(struct report *report, const char *name)
{
    for (size_t i = 0; i < report->count; i++)
        if (strcmp(report->names[i], name) == 0)
            return;
    if (report->count == MOST)
        return;
    report->names[report->count] = name;
    if (report->count < report->capacity) {
        struct ros2_transport_state *state = &report->list[report->count];
        *state = (struct ros2_transport_state){.offered = is_offered(report->client, name)};
        snprintf(state->name, sizeof(state->name), "%s", name);
        judge(report->client, state);
    }
    report->count++;
}

size_t ros2_transports(const struct ros2_client *client, struct ros2_transport_state *list,
                       size_t capacity)
{
    struct report report = {.client = client, .list = list, .capacity = capacity};

    for (uint32_t i = 0; i < client->session.endpoint_count; i++)
        add(&report, client->session.endpoint[i].transport);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        add(&report, known[i]);
    for (unsigned i = 0; i < client->refusal_count; i++) /* names that only the setting knows */
        add(&report, client->refusal[i].name);
    return report.count;
}
