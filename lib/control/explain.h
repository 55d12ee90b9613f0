/* SPDX-License-Identifier: Apache-2.0 */
/* What a gRPC status without one of our own errors in it means: errno and a text with the probable cause. */
#ifndef ROS2I_EXPLAIN_H
#define ROS2I_EXPLAIN_H

#include <grpc/status.h>

#include "lib/control/credentials.h"

struct ros2i_outcome {
    grpc_status_code status;
    const char *details; /* gRPC's own words */
    uint64_t started_ns; /* when the attempt began */
    uint64_t timeout_ns; /* what the caller gave */
};

/* Whether it was the connection and another attempt may help. */
bool ros2i_explain_transient(const struct ros2i_outcome *outcome);
/* Whether the daemon may have the request all the same. */
bool ros2i_explain_in_doubt(const struct ros2i_outcome *outcome);
/* Sets the error text; returns -errno. */
int ros2i_explain(const struct ros2i_control *control, const char *method,
                  const struct ros2i_outcome *outcome);

#endif
