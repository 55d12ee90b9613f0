/* SPDX-License-Identifier: Apache-2.0 */
/* errno to gRPC status. UNAVAILABLE is left out on purpose: it tells clients to send the call again, which is not the
 * errno's but the handler's to say (struct ros2d_call, again). */
#include "config.h"

#include "daemon/control/status.h"

#include <errno.h>

grpc_status_code ros2d_status_of(int err)
{
    switch (err) {
    case ENOENT:
        return GRPC_STATUS_NOT_FOUND;
    case EEXIST:
        return GRPC_STATUS_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return GRPC_STATUS_PERMISSION_DENIED;
    case EINVAL:
    case ENAMETOOLONG:
        return GRPC_STATUS_INVALID_ARGUMENT;
    case EDQUOT:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return GRPC_STATUS_RESOURCE_EXHAUSTED;
    case ETIMEDOUT:
        return GRPC_STATUS_DEADLINE_EXCEEDED;
    case ENOSYS:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
        return GRPC_STATUS_UNIMPLEMENTED;
    case EKEYEXPIRED:
        return GRPC_STATUS_UNAUTHENTICATED;
    case EIO:
        return GRPC_STATUS_INTERNAL;
    default: /* ENOTDIR, EISDIR, ENOTEMPTY, EXDEV, EBADF, ESTALE, ... */
        return GRPC_STATUS_FAILED_PRECONDITION;
    }
}
