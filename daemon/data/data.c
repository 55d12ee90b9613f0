/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane as a whole: starts its threads, tells the sessions' table whom to tell, stops them. Owner: main. */
#include "config.h"

#include "daemon/data/data.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/data/thread.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/plugin.h"

struct ros2d_data {
    struct ros2d_state *state;
    const struct ros2_transport_ops *ops[ROS2D_TRANSPORTS_MAX]; /* in the order of data.transport */
    unsigned lanes;
    unsigned count; /* of threads that run */
    struct ros2d_thread thread[];
};

/* Any thread that closes a session. */
static void on_session_close(void *arg, struct ros2d_session *session)
{
    struct ros2d_data *data = arg;

    for (unsigned i = 0; i < data->count; i++)
        if (ros2d_mailbox_post(&data->thread[i].mailbox, ROS2D_LETTER_SESSION_CLOSED, session, 0) <
            0)
            ros2i_log(ROS2_LOG_ERROR, "data", "%s",
                      ros2i_error()); /* its next request ends the channel all the same */
}

/* -- addresses -- */

/* "HOST:PORT" for the one with that index of all that listen on the network: the ports follow one another, or each is
 * picked. */
static int listen_address(const struct ros2d_config *config, unsigned index, char *buf, size_t len)
{
    const char *colon = strrchr(config->data.listen, ':');
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;
    int host_len = colon ? (int)(colon - config->data.listen) : 0;

    if (host_len == 0 || port > 65535)
        return ros2i_fail(EINVAL, "data.listen: \"%s\" is no address", config->data.listen);
    if (snprintf(buf, len, "%.*s:%lu", host_len, config->data.listen, port ? port + index : 0) >=
        (int)len)
        return ros2i_fail(EINVAL, "data.listen: \"%s\" is too long", config->data.listen);
    return 0;
}

/* As clients are told it: a lane's socket, or the port behind the host that they reach the control plane at. */
static void fill_endpoint(const struct ros2d_config *config, const struct ros2d_lane *lane,
                          struct ros2i_endpoint *endpoint)
{
    const char *bound = lane->address;
    const char *host = config->data.advertise ? config->data.advertise : "";
    bool v6 = strchr(host, ':') != NULL;

    *endpoint = lane->listen;
    if (ros2d_config_is_local(endpoint->transport)) {
        strcpy(endpoint->address, bound);
        return;
    }
    snprintf(endpoint->address, sizeof(endpoint->address), "%s%.60s%s%s", v6 ? "[" : "", host,
             v6 ? "]" : "", strrchr(bound, ':'));
}

/* -- start -- */

static int load_transports(struct ros2d_data *data)
{
    char name[ROS2D_TRANSPORT_NAME_MAX];

    for (; ros2d_config_transport(data->state->config, data->lanes, name); data->lanes++) {
        assert(data->lanes < ROS2D_TRANSPORTS_MAX);
        int rc = ros2i_plugin_transport(name, &data->ops[data->lanes]);
        if (rc < 0)
            return ros2i_fail_prefix(rc, "data.transport");
        if (data->ops[data->lanes]->flags & ROS2_TRANSPORT_EXPOSES &&
            !data->state->config->data.trusted_network)
            return ros2i_fail(
                EPERM,
                "data.transport: whoever reaches the ports of %s can read and write all memory of "
                "ros2d; write trusted_network: true where nobody else can, or take another",
                name);
    }
    return 0;
}

static int prepare_lanes(struct ros2d_data *data, struct ros2d_thread *thread)
{
    const struct ros2d_config *config = data->state->config;
    unsigned before = 0; /* transports of the network: each has a row of ports for its threads */
    int rc = 0;

    for (; rc == 0 && thread->lane_count < data->lanes; thread->lane_count++) {
        struct ros2d_lane *lane = &thread->lane[thread->lane_count];
        struct ros2i_endpoint *listen = &lane->listen;
        lane->ops = data->ops[thread->lane_count];
        lane->thread = thread;
        ros2d_config_transport(config, thread->lane_count, listen->transport);
        rc = ros2d_config_is_local(listen->transport)
                 ? ros2d_config_socket(config, thread->index, listen->address,
                                       sizeof(listen->address))
                 : listen_address(config, before++ * config->data.threads + thread->index,
                                  listen->address, sizeof(listen->address));
    }
    return rc;
}

/* Signals are main's: all are blocked in what is started here. */
static int create_thread(struct ros2d_thread *thread)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread->id, NULL, ros2d_thread_run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : ros2i_fail(rc, "data thread %u: %s", thread->index, ros2i_strerror(rc));
}

static int start_thread(struct ros2d_data *data)
{
    struct ros2d_thread *thread = &data->thread[data->count];
    int rc;

    thread->state = data->state;
    thread->engine_ops = data->state->tenant->engine_ops;
    thread->index = data->count;
    rc = prepare_lanes(data, thread);
    if (rc == 0)
        rc = ros2d_mailbox_init(&thread->mailbox);
    if (rc < 0)
        return rc;
    sem_init(&thread->started, 0, 0);
    rc = create_thread(thread);
    if (rc < 0)
        goto fini;
    while (sem_wait(&thread->started) < 0)
        ; /* EINTR */
    if (thread->start_rc == 0) {
        data->count++;
        return 0;
    }
    pthread_join(thread->id, NULL);
    rc = ros2i_fail(-thread->start_rc, "data thread %u: %s", thread->index, thread->start_error);
fini:
    sem_destroy(&thread->started);
    ros2d_mailbox_fini(&thread->mailbox);
    return rc;
}

/* By preference; those of one transport side by side, one for each thread. */
static void report_endpoints(struct ros2d_data *data)
{
    struct ros2d_state *state = data->state;

    assert(data->lanes * data->count <= ROS2I_ENDPOINTS_MAX);
    state->endpoint_count = 0;
    for (unsigned i = 0; i < data->lanes; i++)
        for (unsigned j = 0; j < data->count; j++) {
            const struct ros2d_lane *lane = &data->thread[j].lane[i];
            fill_endpoint(state->config, lane, &state->endpoint[state->endpoint_count++]);
            ros2i_log(ROS2_LOG_INFO, "data", "listening address %s transport %s", lane->address,
                      lane->ops->name);
        }
}

int ros2d_data_start(struct ros2d_state *state, struct ros2d_data **data_p)
{
    unsigned threads = state->config->data.threads;
    struct ros2d_data *data;
    int rc;

    data = calloc(1, sizeof(*data) + threads * sizeof(data->thread[0]));
    if (!data)
        return ros2i_fail(ENOMEM, "data plane: out of memory");
    data->state = state;
    rc = load_transports(data);
    while (rc == 0 && data->count < threads)
        rc = start_thread(data);
    if (rc < 0) {
        ros2d_data_stop(data, 0);
        return rc;
    }
    report_endpoints(data);
    ros2d_sessions_on_close(state->sessions, on_session_close, data);
    *data_p = data;
    return 0;
}

/* -- stop -- */

void ros2d_data_stop(struct ros2d_data *data, uint64_t deadline_ns)
{
    ros2d_sessions_on_close(data->state->sessions, NULL, NULL);
    for (unsigned i = 0; i < data->count; i++)
        while (ros2d_mailbox_post(&data->thread[i].mailbox, ROS2D_LETTER_DRAIN, NULL, deadline_ns) <
               0)
            sched_yield(); /* out of memory: the threads give some back */
    for (unsigned i = 0; i < data->count; i++) {
        struct ros2d_thread *thread = &data->thread[i];
        pthread_join(thread->id, NULL);
        sem_destroy(&thread->started);
        ros2d_mailbox_fini(&thread->mailbox);
    }
    free(data);
}

void ros2d_data_counters(const struct ros2d_data *data, struct ros2d_counters *sum)
{
    /* The struct is nothing but counters. */
    const size_t count = sizeof(*sum) / sizeof(_Atomic uint64_t);
    _Atomic uint64_t *to = (_Atomic uint64_t *)sum;

    for (unsigned i = 0; i < data->count; i++) {
        const _Atomic uint64_t *from = (const _Atomic uint64_t *)&data->thread[i].counters;
        for (size_t j = 0; j < count; j++)
            ros2d_count(&to[j], atomic_load_explicit(&from[j], memory_order_relaxed));
    }
}
