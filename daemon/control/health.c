/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: for probes, so without a token; it tells no more than that the daemon runs. And the answer to whatever
 * else is called: without one such a call would hang until its deadline. */
#include "config.h"

#include <errno.h>
#include <grpc/slice.h>
#include <string.h>

#include "daemon/control/service.h"
#include "grpc/health/v1/health.pb-c.h"
#include "lib/base/error.h"

#define SERVING         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

/* "" is the daemon as a whole. */
static bool is_known(const char *service)
{
    static const char *const known[] = {"", "ros2.v1.Session", "ros2.v1.Namespace",
                                        "ros2.v1.Memory"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i], service) == 0)
            return true;
    }
    return false;
}

static Grpc__Health__V1__HealthCheckResponse__ServingStatus status_now(
    const struct ros2d_call *call)
{
    return atomic_load_explicit(&call->server->stopping, memory_order_relaxed) ? NOT_SERVING
                                                                               : SERVING;
}

static int handle_check(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Grpc__Health__V1__HealthCheckRequest *request = message;
    Grpc__Health__V1__HealthCheckResponse *reply = ros2d_call_alloc(call, sizeof *reply);

    if (!reply)
        return -ENOMEM;
    if (!is_known(request->service))
        return ros2i_fail(ENOENT, "health: service \"%.64s\" is not here", request->service);
    grpc__health__v1__health_check_response__init(reply);
    reply->status = status_now(call);
    *reply_p = &reply->base;
    return 0;
}

/* A watch: its state, then it is parked until the server ends or the client goes. */
struct watch {
    bool known;
    bool told;
};

static int handle_watch(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Grpc__Health__V1__HealthCheckRequest *request = message;
    struct watch *watch = ros2d_call_alloc(call, sizeof *watch);

    (void)reply_p;
    if (!watch)
        return -ENOMEM;
    watch->known = is_known(request->service);
    call->stream = watch;
    return 0;
}

static int next_state(struct ros2d_call *call, ProtobufCMessage **reply_p)
{
    struct watch *watch = call->stream;

    if (watch->told) {
        call->park = true;
        return 0;
    }
    Grpc__Health__V1__HealthCheckResponse *reply =
        ros2d_arena_alloc(&call->page_arena, sizeof *reply);
    if (!reply)
        return ros2i_fail(ENOMEM, "no memory for the answer");
    grpc__health__v1__health_check_response__init(reply);
    reply->status = watch->known ? status_now(call) : SERVICE_UNKNOWN;
    watch->told = true;
    *reply_p = &reply->base;
    return 0;
}

void ros2d_health_stop(struct ros2d_server *server)
{
    Grpc__Health__V1__HealthCheckResponse last;

    grpc__health__v1__health_check_response__init(&last);
    last.status = NOT_SERVING;
    pthread_mutex_lock(&server->lock);
    struct ros2d_call *call = server->watchers;
    server->watchers = NULL;
    server->watcher_count = 0;
    pthread_mutex_unlock(&server->lock);
    while (call) {
        struct ros2d_call *next = call->next_watcher;

        ros2d_call_finish_parked(call, &last.base);
        call = next;
    }
}

static int handle_other(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const grpc_slice method = call->details.method;
    int len = GRPC_SLICE_LENGTH(method) < 128 ? (int)GRPC_SLICE_LENGTH(method) : 128;

    (void)message;
    (void)reply_p;
    return ros2i_fail(ENOSYS, "method %.*s is not known to this ros2d " PACKAGE_VERSION, len,
                      (const char *)GRPC_SLICE_START_PTR(method));
}

const struct ros2d_method ros2d_health_methods[] = {
    {.path = "/grpc.health.v1.Health/Check",
     .request = &grpc__health__v1__health_check_request__descriptor,
     .flags = ROS2D_METHOD_ANYONE,
     .handle = handle_check},
    {.path = "/grpc.health.v1.Health/Watch",
     .request = &grpc__health__v1__health_check_request__descriptor,
     .flags = ROS2D_METHOD_ANYONE,
     .handle = handle_watch,
     .next = next_state},
    {.flags = ROS2D_METHOD_ANYONE, .handle = handle_other}, /* without a path: all others */
    {0},
};
