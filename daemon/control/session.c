/* SPDX-License-Identifier: Apache-2.0 */
/* Session.Open, Attach, Renew, Close. The secret leaves the daemon here and nowhere else. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "daemon/control/auth.h"
#include "daemon/control/service.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/protocol/wire.h"
#include "ros2/v1/session.pb-c.h"

static int check_nonce(const ProtobufCBinaryData *nonce)
{
    if (nonce->len != ROS2I_NONCE_LEN)
        return ros2i_fail(EINVAL, "process nonce of %zu bytes; it must have %d", nonce->len,
                          ROS2I_NONCE_LEN);
    return 0;
}

static bool is_wanted(const Ros2__V1__OpenSessionRequest *request, const char *transport)
{
    for (size_t i = 0; i < request->n_transports; i++) {
        if (strcmp(request->transports[i], transport) == 0)
            return true;
    }
    return request->n_transports == 0;
}

static int add_endpoints(struct ros2d_call *call, const Ros2__V1__OpenSessionRequest *request,
                         Ros2__V1__OpenSessionResponse *reply)
{
    const struct ros2d_state *state = call->state;
    Ros2__V1__DataEndpoint *endpoint =
        ros2d_call_alloc(call, ROS2I_ENDPOINTS_MAX * sizeof *endpoint);
    Ros2__V1__DataEndpoint **list = ros2d_call_alloc(call, ROS2I_ENDPOINTS_MAX * sizeof *list);

    if (!endpoint || !list)
        return -ENOMEM;
    reply->endpoints = list;
    for (uint32_t i = 0; i < state->endpoint_count && i < ROS2I_ENDPOINTS_MAX; i++) {
        if (!is_wanted(request, state->endpoint[i].transport))
            continue;
        ros2__v1__data_endpoint__init(&endpoint[i]);
        endpoint[i].transport = (char *)(uintptr_t)state->endpoint[i].transport;
        endpoint[i].address = (char *)(uintptr_t)state->endpoint[i].address;
        list[reply->n_endpoints++] = &endpoint[i];
    }
    if (reply->n_endpoints == 0)
        return ros2i_fail(
            EPROTONOSUPPORT,
            "none of the client's transports is served here; config key data.transport");
    return 0;
}

/* The client never got the secret: nobody can use the session. */
static void drop_session(struct ros2d_call *call)
{
    ros2d_sessions_close(call->state->sessions, call->session);
}

static int check_open(const Ros2__V1__OpenSessionRequest *request)
{
    if (request->version_min > ROS2I_WIRE_VERSION || request->version_max < ROS2I_WIRE_VERSION)
        return ros2i_fail(EPROTONOSUPPORT,
                          "the client speaks versions %u to %u of the data plane, this ros2d "
                          "version %d; update the "
                          "older one",
                          request->version_min, request->version_max, ROS2I_WIRE_VERSION);
    return check_nonce(&request->process_nonce);
}

static int handle_open(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Ros2__V1__OpenSessionRequest *request = message;
    const struct ros2d_config *config = call->state->config;
    Ros2__V1__OpenSessionResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    int rc = check_open(request);

    if (rc < 0)
        return rc;
    if (!reply)
        return -ENOMEM;
    ros2__v1__open_session_response__init(reply);
    rc = add_endpoints(call, request, reply);
    if (rc < 0)
        return rc;
    rc = ros2d_sessions_open(call->state->sessions, &call->principal, &call->session);
    if (rc < 0)
        return rc;
    call->undelivered = drop_session;
    reply->session_id =
        (ProtobufCBinaryData){.len = ROS2I_SESSION_ID_LEN, .data = call->session->id};
    reply->secret = (ProtobufCBinaryData){.len = ROS2I_SECRET_LEN, .data = call->session->secret};
    reply->tenant = call->principal.tenant->name;
    reply->version = ROS2I_WIRE_VERSION;
    reply->inline_limit = config->data.inline_limit;
    reply->max_io = config->data.max_io;
    reply->credits = config->data.credits;
    reply->checksum = config->data.checksum;
    reply->lifetime_ms = ros2d_sessions_lifetime_ns(call->state->sessions) / ROS2I_NS_PER_MS;
    reply->server_name = (char *)(uintptr_t)("ros2d " PACKAGE_VERSION);
    ros2i_log(ROS2_LOG_INFO, "control", "session opened: serial %llu principal %s client %.64s",
              (unsigned long long)call->session->serial, call->principal.name,
              request->client_name);
    *reply_p = &reply->base;
    return 0;
}

static uint64_t lifetime_ms(const struct ros2d_call *call)
{
    return ros2d_sessions_lifetime_ns(call->state->sessions) / ROS2I_NS_PER_MS;
}

static int handle_attach(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Ros2__V1__AttachRequest *request = message;
    Ros2__V1__AttachResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    int rc = check_nonce(&request->process_nonce);

    if (rc < 0 || !reply)
        return rc < 0 ? rc : -ENOMEM;
    ros2__v1__attach_response__init(reply);
    reply->lifetime_ms = lifetime_ms(call);
    *reply_p = &reply->base;
    return 0;
}

/* Every call puts off the end of its session; this one does nothing else. */
static int handle_renew(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    Ros2__V1__RenewResponse *reply = ros2d_call_alloc(call, sizeof *reply);

    (void)message;
    if (!reply)
        return -ENOMEM;
    ros2__v1__renew_response__init(reply);
    reply->lifetime_ms = lifetime_ms(call);
    *reply_p = &reply->base;
    return 0;
}

static int handle_close(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    Ros2__V1__CloseSessionResponse *reply = ros2d_call_alloc(call, sizeof *reply);

    (void)message;
    if (!reply)
        return -ENOMEM;
    ros2__v1__close_session_response__init(reply);
    ros2i_log(ROS2_LOG_INFO, "control", "session closed: serial %llu principal %s",
              (unsigned long long)call->session->serial, call->principal.name);
    ros2d_sessions_close(call->state->sessions, call->session);
    *reply_p = &reply->base;
    return 0;
}

const struct ros2d_method ros2d_session_methods[] = {
    {.path = "/ros2.v1.Session/Open",
     .request = &ros2__v1__open_session_request__descriptor,
     .flags = ROS2D_METHOD_NO_SESSION,
     .handle = handle_open},
    {.path = "/ros2.v1.Session/Attach",
     .request = &ros2__v1__attach_request__descriptor,
     .handle = handle_attach},
    {.path = "/ros2.v1.Session/Renew",
     .request = &ros2__v1__renew_request__descriptor,
     .handle = handle_renew},
    {.path = "/ros2.v1.Session/Close",
     .request = &ros2__v1__close_session_request__descriptor,
     .handle = handle_close},
    {0},
};
