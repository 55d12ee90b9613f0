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

/* "HOST:PORT" for thread i: the ports follow one another, or each is picked. */
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

static void fill_endpoint(const struct ros2d_config *config, const char *bound,
                          struct ros2i_endpoint *endpoint)
{
    const char *host = config->data.advertise ? config->data.advertise : "";
    bool v6 = strchr(host, ':') != NULL;

    snprintf(endpoint->transport, sizeof(endpoint->transport), "%s", config->data.transport);
    snprintf(endpoint->address, sizeof(endpoint->address), "%s%.60s%s%s", v6 ? "[" : "", host,
             v6 ? "]" : "", strrchr(bound, ':'));
}

/* -- start -- */

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

static int start_thread(struct ros2d_data *data, const struct ros2_transport_ops *ops)
{
    struct ros2d_thread *thread = &data->thread[data->count];
    int rc;

    thread->state = data->state;
    thread->ops = ops;
    thread->engine_ops = data->state->tenant->engine_ops;
    thread->index = data->count;
    rc = listen_address(data->state->config, thread->index, thread->listen, sizeof(thread->listen));
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

int ros2d_data_start(struct ros2d_state *state, struct ros2d_data **data_p)
{
    const struct ros2_transport_ops *ops;
    unsigned threads = state->config->data.threads;
    struct ros2d_data *data;
    int rc = ros2i_plugin_transport(state->config->data.transport, &ops);

    if (rc < 0)
        return rc;
    assert(threads <= ROS2I_ENDPOINTS_MAX);
    data = calloc(1, sizeof(*data) + threads * sizeof(data->thread[0]));
    if (!data)
        return ros2i_fail(ENOMEM, "data plane: out of memory");
    data->state = state;
    while (data->count < threads) {
        rc = start_thread(data, ops);
        if (rc < 0) {
            ros2d_data_stop(data, 0);
            return rc;
        }
        fill_endpoint(state->config, data->thread[data->count - 1].address,
                      &state->endpoint[data->count - 1]);
        ros2i_log(ROS2_LOG_INFO, "data", "listening address %s transport %s",
                  data->thread[data->count - 1].address, state->config->data.transport);
    }
    state->endpoint_count = threads;
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
