/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC tells little of why a connection failed: a refused certificate and a stray port both read "Socket closed". Here its
 * words, and what its TLS code logged meanwhile, become an errno and a sentence that names what to look at. */
#include "config.h"

#include "lib/control/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

bool ros2i_explain_transient(const struct ros2i_outcome *outcome)
{
    switch (outcome->status) {
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_CANCELLED: /* not by us: the daemon goes away */
        return true;
    case GRPC_STATUS_UNKNOWN:
        return strstr(outcome->details, "Stream removed") != NULL;
    default:
        return false;
    }
}

static bool says(const char *text, const char *phrase)
{
    return strcasestr(text, phrase) != NULL;
}

bool ros2i_explain_in_doubt(const struct ros2i_outcome *outcome)
{
    const char *details = outcome->details;

    switch (outcome->status) {
    case GRPC_STATUS_UNAUTHENTICATED:
    case GRPC_STATUS_PERMISSION_DENIED:
    case GRPC_STATUS_UNIMPLEMENTED:
    case GRPC_STATUS_INVALID_ARGUMENT:
        return false;
    default:
        return !says(details, "connection refused") && !says(details, "failed to connect") &&
               !says(details, "DNS resolution failed") && !says(details, "Domain name not found");
    }
}

static int explain_tls(const struct ros2i_control *control, const char *cause)
{
    if (says(cause, "certificate_verify_failed") || says(cause, "certificate verify failed"))
        return ros2i_fail(EPROTO,
                          "%s: its certificate is not trusted: it was not issued by the CA in use, "
                          "or has expired; check "
                          "the CA file (%s)",
                          control->peer, cause);
    if (says(cause, "peer name") || says(cause, "not in peer certificate"))
        return ros2i_fail(
            EPROTO,
            "%s: its certificate is for another name; give the name in it as server_name (%s)",
            control->peer, cause);
    if (says(cause, "wrong version number") || says(cause, "wrong_version_number"))
        return ros2i_fail(
            EPROTO, "%s: it does not speak TLS there: a plaintext ros2d, or another service (%s)",
            control->peer, cause);
    if (says(cause, "certificate required") || says(cause, "certificate_required") ||
        says(cause, "bad certificate"))
        return ros2i_fail(EACCES, "%s: it wants a client certificate that its CA has issued (%s)",
                          control->peer, cause);
    return ros2i_fail(EPROTO, "%s: the TLS handshake failed: %s", control->peer, cause);
}

/* The connection was there and ended without an answer. */
static int explain_closed(const struct ros2i_control *control, const char *details)
{
    if (atomic_load_explicit(&control->answered, memory_order_relaxed))
        return ros2i_fail(ECONNRESET,
                          "%s: the connection broke: the daemon ended or the network failed (%s)",
                          control->peer, details);
    if (control->plaintext)
        return ros2i_fail(EPROTO,
                          "%s: it closed the connection: probably it expects TLS (give a CA file), "
                          "or is not a ros2d's "
                          "control port (%s)",
                          control->peer, details);
    return ros2i_fail(EPROTO,
                      "%s: it closed the connection: probably it does not speak TLS, %s, or is not "
                      "a ros2d's control "
                      "port (%s)",
                      control->peer,
                      control->cert ? "does not trust the client certificate"
                                    : "wants a client certificate",
                      details);
}

static int explain_unavailable(const struct ros2i_control *control,
                               const struct ros2i_outcome *outcome)
{
    const char *details = outcome->details;
    char tls[256];

    if (says(details, "connection refused"))
        return ros2i_fail(ECONNREFUSED,
                          "%s: nothing listens there: is ros2d running, and on this port?",
                          control->peer);
    if (says(details, "DNS resolution failed") || says(details, "Domain name not found"))
        return ros2i_fail(EHOSTUNREACH, "%s: the name cannot be resolved (%s)", control->peer,
                          details);
    if (says(details, "no route to host") || says(details, "network is unreachable") ||
        says(details, "host is unreachable") || says(details, "connection timed out") ||
        says(details, "connect timeout") || says(details, "FD shutdown"))
        return ros2i_fail(EHOSTUNREACH, "%s: no connection: %s", control->peer, details);
    if (says(details, "http1"))
        return ros2i_fail(EPROTO, "%s: another service listens there: it speaks HTTP/1 (%s)",
                          control->peer, details);
    if (!control->plaintext && ros2i_runtime_tls_text(outcome->started_ns, tls, sizeof tls))
        return explain_tls(control, tls);
    if (says(details, "handshake") || says(details, "ssl") || says(details, "peer name"))
        return explain_tls(control, details);
    return explain_closed(control, details);
}

int ros2i_explain(const struct ros2i_control *control, const char *method,
                  const struct ros2i_outcome *outcome)
{
    const char *details = outcome->details;

    switch (outcome->status) {
    case GRPC_STATUS_DEADLINE_EXCEEDED:
        return ros2i_fail(
            ETIMEDOUT, "%s %s: no answer within %llu ms", control->peer, method,
            (unsigned long long)((outcome->timeout_ns + ROS2I_NS_PER_MS - 1) / ROS2I_NS_PER_MS));
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_CANCELLED:
        return explain_unavailable(control, outcome);
    case GRPC_STATUS_UNAUTHENTICATED:
    case GRPC_STATUS_PERMISSION_DENIED:
        return ros2i_fail(EACCES, "%s %s: refused: %s", control->peer, method, details);
    case GRPC_STATUS_UNIMPLEMENTED:
        return ros2i_fail(
            EPROTO, "%s: it does not know %s: another service, or a ros2d of another version (%s)",
            control->peer, method, details);
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        return ros2i_fail(EMSGSIZE, "%s %s: a message is too large: %s", control->peer, method,
                          details);
    default:
        return ros2i_fail(EPROTO, "%s %s: gRPC status %d without a ros2 error: %s", control->peer,
                          method, (int)outcome->status, details);
    }
}
