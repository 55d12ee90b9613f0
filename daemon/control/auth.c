/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication of each call: nobody is let in by default, also not on plaintext or from loopback. What a refused caller
 * reads does not tell whether a token, a session or a name exists. */
#include "config.h"

#include "daemon/control/auth.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

#define SCHEME      "Bearer "
#define CERT_PREFIX "cert:"

/* The text after "Bearer ", or NULL. */
static const char *bearer(const grpc_slice *value, size_t *len_p)
{
    const char *text = (const char *)GRPC_SLICE_START_PTR(*value);
    size_t len = GRPC_SLICE_LENGTH(*value), scheme_len = strlen(SCHEME);

    if (len <= scheme_len || strncasecmp(text, SCHEME, scheme_len) != 0)
        return NULL;
    *len_p = len - scheme_len;
    return text + scheme_len;
}

/* gRPC has verified the chain against client_ca_file: an unverified peer never gets here with a common name. */
static int take_common_name(grpc_auth_context *context, struct ros2d_principal *principal)
{
    grpc_auth_property_iterator it =
        grpc_auth_context_find_properties_by_name(context, GRPC_X509_CN_PROPERTY_NAME);
    const grpc_auth_property *cn = grpc_auth_property_iterator_next(&it);

    if (!cn || cn->value_length == 0 || strlen(cn->value) != cn->value_length)
        return ros2i_fail(EACCES, "the client certificate has no usable common name");
    if (grpc_auth_property_iterator_next(&it))
        return ros2i_fail(EACCES, "the client certificate has more than one common name");
    if (cn->value_length + strlen(CERT_PREFIX) >= sizeof principal->name)
        return ros2i_fail(EACCES, "the client certificate's common name is longer than %zu bytes",
                          sizeof principal->name - sizeof CERT_PREFIX);
    snprintf(principal->name, sizeof principal->name, CERT_PREFIX "%s", cn->value);
    return 0;
}

static int by_certificate(struct ros2d_call *call)
{
    grpc_auth_context *context = grpc_call_auth_context(call->grpc);
    int rc = -EACCES;

    if (context && grpc_auth_context_peer_is_authenticated(context))
        rc = take_common_name(context, &call->principal);
    else
        ros2i_fail(EACCES, "no credentials: the call has no bearer token, and the connection no "
                           "client certificate; "
                           "give one of the two");
    if (context)
        grpc_auth_context_release(context);
    if (rc < 0)
        return rc;
    call->principal.tenant = call->state->tenant;
    call->principal.rights = ROS2I_RIGHT_READ | ROS2I_RIGHT_WRITE | ROS2I_RIGHT_APPEND;
    call->principal.expiry_ns = INT64_MAX;
    return 0;
}

static int find_principal(struct ros2d_call *call)
{
    unsigned count;
    size_t len;
    const grpc_slice *value = ros2d_call_metadata(call, "authorization", &count);

    if (count == 0)
        return by_certificate(call);
    if (count > 1)
        return ros2i_fail(EACCES, "more than one authorization in the call");
    const char *token = bearer(value, &len);
    if (!token)
        return ros2i_fail(EACCES, "the call's authorization is no \"Bearer TOKEN\"");
    return ros2d_tokens_check(call->state->tokens, token, len, &call->principal);
}

/* One line a second at most: whoever may not come in must not fill the log either. */
static void log_refusal(const struct ros2d_call *call)
{
    static _Atomic uint64_t next_ns;
    uint64_t now_ns = ros2i_now_ns(), due_ns = atomic_load_explicit(&next_ns, memory_order_relaxed);

    if (now_ns < due_ns ||
        !atomic_compare_exchange_strong_explicit(&next_ns, &due_ns, now_ns + ROS2I_NS_PER_S,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    char *peer = grpc_call_get_peer(call->grpc);
    ros2i_log(ROS2_LOG_WARN, "control", "call refused: peer %s: %s", peer ? peer : "?",
              ros2i_error());
    gpr_free(peer);
}

int ros2d_auth_principal(struct ros2d_call *call)
{
    int rc = find_principal(call);

    call->unauthenticated = rc < 0;
    if (rc < 0)
        log_refusal(call);
    return rc;
}

int ros2d_auth_session(struct ros2d_call *call)
{
    unsigned count;
    const grpc_slice *value = ros2d_call_metadata(call, "ros2-session-bin", &count);

    if (count != 1 || GRPC_SLICE_LENGTH(*value) != ROS2I_SESSION_ID_LEN)
        return ros2i_fail(
            EINVAL, "the call names no session: ros2-session-bin must have the 16 bytes of its id");
    struct ros2d_session *session =
        ros2d_sessions_get(call->state->sessions, GRPC_SLICE_START_PTR(*value));
    if (session && (session->principal.tenant != call->principal.tenant ||
                    strcmp(session->principal.name, call->principal.name) != 0)) {
        ros2d_session_put(session);
        session = NULL;
    }
    call->unauthenticated = !session;
    if (!session)
        return ros2i_fail(
            ENOKEY, "the session is unknown: it expired or was closed, or ros2d was started anew; "
                    "connect again");
    call->session = session;
    ros2d_sessions_touch(call->state->sessions, session);
    return 0;
}

int ros2d_auth_may_write(const struct ros2d_call *call)
{
    if (call->principal.rights & ROS2I_RIGHT_WRITE)
        return 0;
    return ros2i_fail(EACCES, "token %s is read-only; use one with rights rw",
                      call->principal.name);
}
