/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: connect, disconnect, attach, and the process's log. Any thread. A client is in the registry exactly as long as
 * another thread can see it. */
#include "config.h"

#include "lib/core/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"
#include "lib/core/async.h"
#include "lib/core/closing.h"
#include "lib/core/fork.h"
#include "lib/core/implicit.h"
#include "lib/core/queue.h"
#include "lib/core/registry.h"
#include "lib/core/settings.h"
#include "ros2/ros2.h"

#define DISCONNECT_NS (5 * ROS2I_NS_PER_S)

/* -- log -- */

static struct {
    ros2_log_fn *fn;
    void *arg;
} user_log;
static bool log_is_set;
static pthread_once_t log_once = PTHREAD_ONCE_INIT;

static void to_user(void *arg, enum ros2_log_level level, const char *outlet, const char *line)
{
    (void)arg;
    user_log.fn(user_log.arg, (int)level, outlet, line);
}

void ros2_log_callback(ros2_log_fn *fn, void *arg, int level)
{
    log_is_set = true;
    user_log.fn = fn;
    user_log.arg = arg;
    if (level < ROS2_LOG_ERROR)
        level = ROS2_LOG_ERROR;
    if (level > ROS2_LOG_DEBUG)
        level = ROS2_LOG_DEBUG;
    ros2i_log_sink(fn ? to_user : NULL, NULL, (enum ros2_log_level)level);
}

static void log_by_environment(void)
{
    const char *name = secure_getenv("ROS2_LOG");
    enum ros2_log_level level;
    if (!log_is_set && name && *name != '\0' && ros2i_log_level(name, &level) == 0)
        ros2i_log_sink(ros2i_log_stderr, NULL, level);
}

const char *ros2_error(void)
{
    return ros2i_error();
}

/* -- session -- */

uint64_t ros2i_client_deadline(const struct ros2_client *client)
{
    return ros2i_now_ns() + client->timeout_ns;
}

int ros2i_client_error(int rc)
{
    if (rc != -ENOKEY)
        return rc;
    bool in_doubt = strstr(ros2i_error(), ROS2I_IN_DOUBT) != NULL;
    return ros2i_fail(
        ESTALE,
        "the daemon does not know this session any more: it was restarted, or the session expired; "
        "connect again, reopen the files, and write again what was not synced: it may be lost%s",
        in_doubt ? ROS2I_IN_DOUBT : "");
}

int ros2i_client_attach(struct ros2_client *client, uint64_t deadline_ns)
{
    static const uint8_t none[ROS2I_NONCE_LEN];
    uint8_t nonce[ROS2I_NONCE_LEN];
    pthread_mutex_lock(&client->lock);
    memcpy(nonce, client->nonce, sizeof(nonce));
    pthread_mutex_unlock(&client->lock);
    if (memcmp(nonce, none, sizeof(nonce)) == 0)
        return ros2i_fail(
            EIO, "no randomness at fork(): this process cannot use the clients it inherited");
    int rc = ros2i_control_attach(client->control, nonce, deadline_ns);
    if (rc == 0)
        atomic_store(&client->attached, true);
    return ros2i_client_error(rc);
}

int ros2i_client_enter(struct ros2_client *client, uint64_t deadline_ns)
{
    if (__builtin_expect(atomic_load_explicit(&client->attached, memory_order_acquire), 1))
        return 0;
    return ros2i_client_attach(client, deadline_ns);
}

/* -- connect, disconnect -- */

static int create_control(struct ros2_client *client, const struct ros2i_settings *settings)
{
    if (settings->plaintext) {
        int rc = ros2i_endpoints_resolve(client, settings->url.host);
        if (rc < 0)
            return rc;
        if (!ros2i_endpoints_loopback(client))
            return ros2i_fail(
                EINVAL, "plaintext is allowed to a loopback address only, which %s is not; use TLS",
                settings->url.host);
    }
    struct ros2i_control_options options = {
        .host = settings->url.host,
        .port = settings->url.port,
        .plaintext = settings->plaintext,
        .server_name = settings->server_name,
        .ca_file = settings->ca_file,
        .cert_file = settings->cert_file,
        .key_file = settings->key_file,
        .token = settings->token,
        .client_name = settings->client_name,
    };
    return ros2i_control_create(&options, &client->control);
}

static int open_session(struct ros2_client *client, uint64_t deadline_ns)
{
    int rc = ros2i_random(client->nonce, sizeof(client->nonce));
    if (rc < 0)
        return rc;
    rc = ros2i_control_open_session(client->control, client->nonce, deadline_ns, &client->session);
    if (rc < 0)
        return ros2i_client_error(rc);
    atomic_store(&client->attached, true);
    return 0;
}

static int find_data_plane(struct ros2_client *client, const struct ros2i_settings *settings,
                           uint64_t deadline_ns)
{
    int rc = ros2i_endpoints_resolve(client, settings->url.host);
    if (rc == 0 && settings->networks) {
        client->networks = strdup(settings->networks);
        if (!client->networks)
            rc = ros2i_fail(ENOMEM, "client: out of memory");
    }
    if (rc == 0 && settings->shm_dir) {
        client->shm_dir = strdup(settings->shm_dir);
        if (!client->shm_dir)
            rc = ros2i_fail(ENOMEM, "client: out of memory");
    }
    return rc < 0 ? rc : ros2i_endpoints_choose(client, settings->transport, deadline_ns);
}

static void free_client(struct ros2_client *client)
{
    if (client->control)
        ros2i_control_destroy(client->control);
    pthread_mutex_destroy(&client->lock);
    ros2i_closing_forget(client);
    ros2i_registration_forget(client);
    free(client->retired);
    free(client->shm_dir);
    free(client->networks);
    free(client->refusal);
    ros2i_wipe(client, sizeof(*client));
    free(client);
}

static void disconnect(struct ros2_client *client, uint64_t deadline_ns);

static int connect_with(const struct ros2i_settings *settings, struct ros2_client **client_p)
{
    struct ros2_client *client = calloc(1, sizeof(*client));
    if (!client)
        return ros2i_fail(ENOMEM, "client: out of memory");
    pthread_mutex_init(&client->lock, NULL);
    ros2i_worker_init(&client->worker);
    client->timeout_ns = settings->timeout_ns;
    client->checksum = settings->checksum;
    int rc = create_control(client, settings);
    uint64_t deadline_ns = ros2i_client_deadline(client);
    if (rc == 0)
        rc = open_session(client, deadline_ns);
    if (rc < 0) {
        ros2i_worker_fini(client);
        free_client(client);
        return rc;
    }
    ros2i_registry_add(client);
    rc = find_data_plane(client, settings, deadline_ns);
    if (rc < 0) {
        char text[ROS2I_ERROR_MAX];
        strcpy(text, ros2i_error());
        disconnect(client, deadline_ns);
        return ros2i_fail(-rc, "%s", text);
    }
    *client_p = client;
    return 0;
}

static int connect_to(const char *url, const struct ros2_connect_options *options,
                      struct ros2_client **client_p)
{
    pthread_once(&log_once, log_by_environment);
    if (!client_p)
        return ros2i_fail(EINVAL, "connect: client_p is NULL");
    /* Before gRPC starts: a fork may come while this connects, or after it has failed. */
    int rc = ros2i_fork_install();
    struct ros2i_settings settings;
    if (rc == 0)
        rc = ros2i_settings_load(url, options, &settings);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "connect");
    rc = connect_with(&settings, client_p);
    if (rc < 0)
        rc = ros2i_fail_prefix(rc,
                               settings.url.v6 ? "connect ros2://[%s]:%u" : "connect ros2://%s:%u",
                               settings.url.host, settings.url.port);
    ros2i_settings_fini(&settings);
    return rc;
}

int ros2_connect(const char *url, const struct ros2_connect_options *options,
                 struct ros2_client **client_p)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int rc = connect_to(url, options, client_p);
    pthread_setcancelstate(cancel_state, NULL);
    return rc;
}

static void end_async_queues(struct ros2_client *client)
{
    while (client->async_queues) { /* no other thread is in a call on the client */
        ros2i_log(ROS2_LOG_WARN, "core", "disconnect with a queue: it can only be destroyed now");
        ros2i_async_end(client->async_queues);
    }
}

/* By the caller's deadline, too: a session that cannot be closed by then expires. */
static void disconnect(struct ros2_client *client, uint64_t deadline_ns)
{
    uint64_t limit_ns = ros2i_now_ns() + DISCONNECT_NS;
    end_async_queues(client);
    ros2i_registry_lock();
    ros2i_registry_remove(client);
    pthread_mutex_lock(&client->lock);
    while (client->queues)
        ros2i_queue_destroy(client->queues);
    bool leaked = client->files != NULL, inherited = client->inherited;
    pthread_mutex_unlock(&client->lock);
    ros2i_registry_unlock();
    ros2i_worker_fini(client);
    /* The call that it was in may have taken all of that. */
    uint64_t least_ns = ros2i_now_ns() + ROS2I_NS_PER_S;
    if (limit_ns < least_ns)
        limit_ns = least_ns;
    if (leaked)
        ros2i_log(ROS2_LOG_WARN, "core",
                  "disconnect with files open: they must not be used any more");
    /* A child's exit does not end the session: it is its parent's. */
    if (!inherited && ros2i_control_close_session(
                          client->control, deadline_ns < limit_ns ? deadline_ns : limit_ns) < 0)
        ros2i_log(ROS2_LOG_INFO, "core", "session not closed, it will expire: %s", ros2i_error());
    free_client(client);
}

void ros2_disconnect(struct ros2_client *client)
{
    int cancel_state;
    if (!client)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    disconnect(client, ROS2I_FOREVER);
    pthread_setcancelstate(cancel_state, NULL);
}

const char *ros2_transport(const struct ros2_client *client)
{
    return client->ops->name;
}

int ros2_ping(struct ros2_client *client, uint64_t *rtt_ns_p)
{
    uint64_t deadline_ns = ros2i_client_deadline(client);
    int rc = ros2i_client_enter(client, deadline_ns);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "ping");
    struct ros2i_op op;
    ros2i_op_init(&op, ROS2I_OP_PING, 0);
    op.deadline_ns = deadline_ns;
    uint64_t start_ns = ros2i_now_ns();
    rc = (int)ros2i_implicit_run(client, &op);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "ping");
    if (rtt_ns_p)
        *rtt_ns_p = ros2i_now_ns() - start_ns;
    return 0;
}
