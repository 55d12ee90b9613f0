/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane as a whole: its threads, each with a listener of its own. A queue's channels always come to the same
 * thread, since the client takes endpoint (queue number modulo their count). */
#include "config.h"

#include "daemon/data/data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/thread.h"
#include "lib/base/error.h"

struct ros2d_data {
    struct ros2d_state *state;
    unsigned count;
    struct ros2d_thread *thread[ROS2I_ENDPOINTS_MAX];
};

/* "HOST:PORT" with PORT + index; port 0 stays. */
static int thread_address(const char *listen, unsigned index, char *buf, size_t len)
{
    const char *colon = strrchr(listen, ':');
    unsigned long port;
    char *end;

    if (!colon)
        return ros2i_fail(EINVAL, "data.listen: \"%s\" is not HOST:PORT", listen);
    port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || end == colon + 1 || port + index > 65535)
        return ros2i_fail(EINVAL, "data.listen: \"%s\": no port for thread %u", listen, index);
    if (port != 0)
        port += index;
    if (snprintf(buf, len, "%.*s:%lu", (int)(colon - listen), listen, port) >= (int)len)
        return ros2i_fail(EINVAL, "data.listen: \"%s\" is too long", listen);
    return 0;
}

static bool is_wildcard(const char *host, size_t len)
{
    return (len == 7 && memcmp(host, "0.0.0.0", 7) == 0) ||
           (len == 4 && memcmp(host, "[::]", 4) == 0) || len == 0;
}

/* What clients are told: the host of advertise, that of the listener, or none where it listens on all: then they take the
 * one that they reached the control plane at. */
static int endpoint_of(struct ros2d_data *data, unsigned index)
{
    const struct ros2d_config *config = data->state->config;
    struct ros2i_endpoint *endpoint = &data->state->endpoint[index];
    const char *bound = ros2d_thread_address(data->thread[index]);
    const char *colon = strrchr(bound, ':');
    int n;

    if (config->data.advertise)
        n = snprintf(endpoint->address, sizeof(endpoint->address), "%s%s", config->data.advertise,
                     colon);
    else if (is_wildcard(bound, (size_t)(colon - bound)))
        n = snprintf(endpoint->address, sizeof(endpoint->address), "%s", colon);
    else
        n = snprintf(endpoint->address, sizeof(endpoint->address), "%s", bound);
    if (n >= (int)sizeof(endpoint->address))
        return ros2i_fail(EINVAL, "data.advertise: too long");
    snprintf(endpoint->transport, sizeof(endpoint->transport), "%s", config->data.transport);
    return 0;
}

static void on_session_closed(void *arg, struct ros2d_session *session)
{
    struct ros2d_data *data = arg;

    for (unsigned i = 0; i < data->count; i++)
        ros2d_thread_session_closed(data->thread[i], session);
}

static void stop(struct ros2d_data *data, uint64_t deadline_ns)
{
    for (unsigned i = 0; i < data->count; i++)
        ros2d_thread_stop(data->thread[i], deadline_ns);
    for (unsigned i = 0; i < data->count; i++)
        ros2d_thread_join(data->thread[i]);
    ros2d_sessions_on_close(data->state->sessions, NULL, NULL);
    for (unsigned i = 0; i < data->count; i++)
        ros2d_thread_destroy(data->thread[i]);
    free(data);
}

int ros2d_data_start(struct ros2d_state *state, struct ros2d_data **data_p)
{
    const struct ros2d_config *config = state->config;
    struct ros2d_data *data = calloc(1, sizeof(*data));
    char address[128];
    int rc = 0;

    if (!data)
        return ros2i_fail(ENOMEM, "data plane: no memory");
    data->state = state;
    while (rc == 0 && data->count < config->data.threads && data->count < ROS2I_ENDPOINTS_MAX) {
        rc = thread_address(config->data.listen, data->count, address, sizeof(address));
        if (rc == 0)
            rc = ros2d_thread_start(state, data->count, address, &data->thread[data->count]);
        if (rc == 0)
            rc = endpoint_of(data, data->count++);
    }
    if (rc < 0) {
        stop(data, 0);
        return rc;
    }
    state->endpoint_count = data->count;
    ros2d_sessions_on_close(state->sessions, on_session_closed, data);
    *data_p = data;
    return 0;
}

void ros2d_data_stop(struct ros2d_data *data, uint64_t deadline_ns)
{
    if (data)
        stop(data, deadline_ns);
}
