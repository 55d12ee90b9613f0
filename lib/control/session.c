/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions. What Session.Open answers is checked against the bounds of the data plane's protocol before anyone uses it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"
#include "lib/control/call.h"
#include "lib/control/control.h"
#include "lib/protocol/wire.h"
#include "grpc/health/v1/health.pb-c.h"
#include "ros2/v1/session.pb-c.h"

#define CREDITS_MIN 1u
#define MAX_IO_MIN  4096u

static int bad_reply(const struct ros2i_control *control, const char *what)
{
    return ros2i_fail(EPROTO, "%s: its answer to Session.Open has %s", control->peer, what);
}

static int copy_endpoints(const struct ros2i_control *control,
                          const Ros2__V1__OpenSessionResponse *reply, struct ros2i_session *session)
{
    if (reply->n_endpoints == 0 || reply->n_endpoints > ROS2I_ENDPOINTS_MAX)
        return bad_reply(control, "no or too many data endpoints");
    for (size_t i = 0; i < reply->n_endpoints; i++) {
        struct ros2i_endpoint *endpoint = &session->endpoint[i];
        const Ros2__V1__DataEndpoint *from = reply->endpoints[i];

        if (strlen(from->transport) == 0 || strlen(from->transport) >= sizeof endpoint->transport ||
            strlen(from->address) == 0 || strlen(from->address) >= sizeof endpoint->address)
            return bad_reply(control,
                             "a data endpoint without transport or address, or with one too long");
        strcpy(endpoint->transport, from->transport);
        strcpy(endpoint->address, from->address);
    }
    session->endpoint_count = (uint32_t)reply->n_endpoints;
    return 0;
}

static int copy_session(const struct ros2i_control *control,
                        const Ros2__V1__OpenSessionResponse *reply, struct ros2i_session *session)
{
    if (reply->session_id.len != ROS2I_SESSION_ID_LEN || reply->secret.len != ROS2I_SECRET_LEN)
        return bad_reply(control, "a session id or secret of the wrong length");
    if (strlen(reply->tenant) >= sizeof session->tenant)
        return bad_reply(control, "a tenant's name that is too long");
    if (reply->version != ROS2I_WIRE_VERSION)
        return ros2i_fail(EPROTONOSUPPORT,
                          "%s: it chose version %u of the data plane, this library has %d",
                          control->peer, reply->version, ROS2I_WIRE_VERSION);
    if (reply->inline_limit > ROS2I_WIRE_INLINE_MAX || reply->max_io < MAX_IO_MIN ||
        reply->max_io > ROS2I_WIRE_IO_MAX || reply->credits < CREDITS_MIN ||
        reply->credits > ROS2I_WIRE_CREDITS_MAX)
        return bad_reply(
            control,
            "an inline limit, largest request or credits outside of the protocol's bounds");
    memcpy(session->id, reply->session_id.data, ROS2I_SESSION_ID_LEN);
    memcpy(session->secret, reply->secret.data, ROS2I_SECRET_LEN);
    strcpy(session->tenant, reply->tenant);
    session->inline_limit = reply->inline_limit;
    session->max_io = reply->max_io;
    session->credits = reply->credits;
    session->options = reply->checksum ? ROS2I_OPTION_CHECKSUM : 0;
    session->lifetime_ns = reply->lifetime_ms < UINT64_MAX / ROS2I_NS_PER_MS
                               ? reply->lifetime_ms * ROS2I_NS_PER_MS
                               : ROS2I_FOREVER;
    return copy_endpoints(control, reply, session);
}

int ros2i_control_open_session(struct ros2i_control *control, const uint8_t nonce[ROS2I_NONCE_LEN],
                               uint64_t deadline_ns, struct ros2i_session *session)
{
    Ros2__V1__OpenSessionRequest request;
    struct ros2i_session copy = {0};

    ros2__v1__open_session_request__init(&request);
    request.version_min = ROS2I_WIRE_VERSION;
    request.version_max = ROS2I_WIRE_VERSION;
    request.client_name =
        control->client_name ? control->client_name : program_invocation_short_name;
    request.process_nonce =
        (ProtobufCBinaryData){.len = ROS2I_NONCE_LEN, .data = (uint8_t *)(uintptr_t)nonce};
    struct ros2i_call call = {.method = "/ros2.v1.Session/Open",
                              .flags = ROS2I_CALL_NO_SESSION,
                              .request = &request.base,
                              .reply_type = &ros2__v1__open_session_response__descriptor,
                              .deadline_ns = deadline_ns};
    int rc = ros2i_call_run(control, &call);
    if (rc < 0)
        return rc;
    Ros2__V1__OpenSessionResponse *reply = call.reply[0];
    rc = copy_session(control, reply, &copy);
    ros2i_wipe(reply->secret.data, reply->secret.len);
    ros2i_call_free(&call);
    if (rc == 0) {
        ros2i_runtime_lock();
        memcpy(control->session_id, copy.id, sizeof control->session_id);
        control->has_session = true;
        ros2i_runtime_unlock();
        *session = copy;
    }
    ros2i_wipe(&copy, sizeof copy);
    return rc;
}

/* A call whose reply says nothing that the caller needs. */
static int run_simple(struct ros2i_control *control, const char *method,
                      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
                      uint64_t deadline_ns, bool *sent_twice_p)
{
    struct ros2i_call call = {.method = method,
                              .flags = ROS2I_CALL_RETRY,
                              .request = request,
                              .reply_type = reply_type,
                              .deadline_ns = deadline_ns};
    int rc = ros2i_call_run(control, &call);

    if (rc == 0)
        ros2i_call_free(&call);
    if (sent_twice_p)
        *sent_twice_p = call.sent_twice;
    return rc;
}

int ros2i_control_attach(struct ros2i_control *control, const uint8_t nonce[ROS2I_NONCE_LEN],
                         uint64_t deadline_ns)
{
    Ros2__V1__AttachRequest request;

    ros2__v1__attach_request__init(&request);
    request.process_nonce =
        (ProtobufCBinaryData){.len = ROS2I_NONCE_LEN, .data = (uint8_t *)(uintptr_t)nonce};
    return run_simple(control, "/ros2.v1.Session/Attach", &request.base,
                      &ros2__v1__attach_response__descriptor, deadline_ns, NULL);
}

int ros2i_control_renew(struct ros2i_control *control, uint64_t deadline_ns)
{
    Ros2__V1__RenewRequest request;

    ros2__v1__renew_request__init(&request);
    return run_simple(control, "/ros2.v1.Session/Renew", &request.base,
                      &ros2__v1__renew_response__descriptor, deadline_ns, NULL);
}

int ros2i_control_close_session(struct ros2i_control *control, uint64_t deadline_ns)
{
    Ros2__V1__CloseSessionRequest request;
    bool sent_twice;

    ros2__v1__close_session_request__init(&request);
    int rc = run_simple(control, "/ros2.v1.Session/Close", &request.base,
                        &ros2__v1__close_session_response__descriptor, deadline_ns, &sent_twice);
    if (rc == -ENOKEY && sent_twice) /* the first one closed it, its answer was lost */
        rc = 0;
    return rc;
}

int ros2i_control_health(struct ros2i_control *control, uint64_t deadline_ns)
{
    Grpc__Health__V1__HealthCheckRequest request;
    grpc__health__v1__health_check_request__init(&request);
    struct ros2i_call call = {.method = "/grpc.health.v1.Health/Check",
                              .flags = ROS2I_CALL_NO_SESSION,
                              .request = &request.base,
                              .reply_type = &grpc__health__v1__health_check_response__descriptor,
                              .deadline_ns = deadline_ns};
    int rc = ros2i_call_run(control, &call);

    if (rc < 0)
        return rc;
    Grpc__Health__V1__HealthCheckResponse *reply = call.reply[0];
    int status = (int)reply->status;
    ros2i_call_free(&call);
    if (status != GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
        return ros2i_fail(EAGAIN, "%s: it answers, but does not serve (health status %d)",
                          control->peer, status);
    return 0;
}
