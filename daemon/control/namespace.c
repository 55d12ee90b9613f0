/* SPDX-License-Identifier: Apache-2.0 */
/* The namespace: requests are checked (path.h, rights), then given to the tenant's engine. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/control/attributes.h"
#include "daemon/control/auth.h"
#include "daemon/control/list.h"
#include "daemon/control/path.h"
#include "daemon/control/service.h"
#include "lib/base/error.h"
#include "ros2/v1/namespace.pb-c.h"

#define ITEMS_MAX 4096u

/* --- open and close -------------------------------------------------------------------------------------- */

/* What a handle opened so may do, within the principal's rights (checked before). */
static uint32_t rights_of(uint32_t open_flags)
{
    uint32_t rights = 0;

    if (open_flags & ROS2_OPEN_READ)
        rights |= ROS2I_RIGHT_READ;
    if (open_flags & ROS2_OPEN_WRITE)
        rights |= ROS2I_RIGHT_WRITE;
    if (open_flags & ROS2_OPEN_APPEND)
        rights |= ROS2I_RIGHT_APPEND;
    return rights;
}

static int check_item(const struct ros2d_call *call, const Ros2__V1__OpenItem *item)
{
    const uint32_t changing =
        ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_TRUNCATE | ROS2_OPEN_APPEND;
    int rc = ros2d_path_check_open(item->flags, item->mode);

    if (rc == 0 && (item->flags & changing))
        rc = ros2d_auth_may_write(call);
    return rc;
}

/* There is a place for the handle. */
static int open_reserved(struct ros2d_call *call, const Ros2__V1__OpenItem *item, const char *path,
                         uint32_t reserved, Ros2__V1__OpenResult *result)
{
    const struct ros2d_tenant *tenant = call->principal.tenant;
    struct ros2_node *node;
    struct ros2_attr attr;
    int rc = tenant->engine_ops->open(tenant->root, path, item->flags, item->mode, &node, &attr);

    if (rc < 0) {
        ros2d_handles_abort(call->state->handles, call->session, reserved);
        return rc;
    }
    ros2d_attributes_fill(result->attributes, &attr);
    result->rights = rights_of(item->flags);
    rc = ros2d_handles_commit(call->state->handles, call->session, reserved, node, result->rights,
                              S_ISDIR(attr.mode), &result->handle);
    if (rc < 0)
        tenant->engine_ops->close(node);
    return rc;
}

static int open_item(struct ros2d_call *call, const Ros2__V1__OpenItem *item,
                     Ros2__V1__OpenResult *result)
{
    char path[ROS2D_PATH_MAX + 1];
    uint32_t reserved;
    int rc = check_item(call, item);

    if (rc == 0)
        rc = ros2d_path_take(item->path.data, item->path.len, path);
    if (rc < 0)
        return rc;
    result->attributes = ros2d_call_alloc(call, sizeof *result->attributes);
    if (!result->attributes)
        return -ENOMEM;
    /* Before the engine is asked: to open may make the file, or cut it to nothing. */
    rc = ros2d_handles_reserve(call->state->handles, call->session, &reserved);
    if (rc == 0)
        rc = open_reserved(call, item, path, reserved, result);
    if (rc == -ESHUTDOWN)
        rc = ros2i_fail(ESTALE, "the session was closed meanwhile; connect again");
    return rc;
}

/* An item's failure is its own; only without memory to say so does the call fail. */
static int set_error(struct ros2d_call *call, Ros2__V1__OpenResult *result, int rc)
{
    const char *text = ros2i_error();
    size_t len = strlen(text);
    Ros2__V1__Error *error = ros2d_arena_alloc(&call->arena, sizeof *error);
    char *copy = ros2d_arena_alloc(&call->arena, len + 1);

    if (!error || !copy)
        return ros2i_fail(ENOMEM, "no memory for the answer");
    ros2__v1__open_result__init(result);
    ros2__v1__error__init(error);
    error->err = -rc;
    error->message = memcpy(copy, text, len + 1);
    result->error = error;
    return 0;
}

/* What a failed call has opened would be known to nobody. */
static void close_all(struct ros2d_call *call, const Ros2__V1__OpenManyResponse *reply)
{
    for (size_t i = 0; i < reply->n_results; i++) {
        if (!reply->results[i]->error)
            ros2d_handles_close(call->state->handles, call->session, reply->results[i]->handle);
    }
}

static int handle_open_many(struct ros2d_call *call, const void *message,
                            ProtobufCMessage **reply_p)
{
    const Ros2__V1__OpenManyRequest *request = message;
    size_t count = request->n_items;

    if (count > ITEMS_MAX)
        return ros2i_fail(EINVAL, "%zu files to open at once; at most %u are allowed", count,
                          ITEMS_MAX);
    ros2d_handles_reap(call->state->handles);
    Ros2__V1__OpenManyResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    Ros2__V1__OpenResult *result = ros2d_call_alloc(call, count * sizeof *result);
    Ros2__V1__OpenResult **results = ros2d_call_alloc(call, count * sizeof *results);
    if (!reply || !result || !results)
        return -ENOMEM;
    ros2__v1__open_many_response__init(reply);
    reply->results = results;
    for (size_t i = 0; i < count; i++) {
        ros2__v1__open_result__init(&result[i]);
        int rc = open_item(call, request->items[i], &result[i]);

        if (rc < 0)
            rc = set_error(call, &result[i], rc);
        if (rc < 0) {
            close_all(call, reply);
            return ros2i_fail(ENOMEM, "no memory for the answer");
        }
        results[reply->n_results++] = &result[i];
    }
    *reply_p = &reply->base;
    return 0;
}

static int handle_close_many(struct ros2d_call *call, const void *message,
                             ProtobufCMessage **reply_p)
{
    const Ros2__V1__CloseManyRequest *request = message;
    size_t count = request->n_handles;

    if (count > ITEMS_MAX)
        return ros2i_fail(EINVAL, "%zu files to close at once; at most %u are allowed", count,
                          ITEMS_MAX);
    Ros2__V1__CloseManyResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    uint32_t *errnos = ros2d_call_alloc(call, count * sizeof *errnos);
    if (!reply || !errnos)
        return -ENOMEM;
    ros2__v1__close_many_response__init(reply);
    reply->errnos = errnos;
    reply->n_errnos = count;
    for (size_t i = 0; i < count; i++)
        errnos[i] = (uint32_t)-ros2d_handles_close(call->state->handles, call->session,
                                                   request->handles[i]);
    *reply_p = &reply->base;
    return 0;
}

/* --- stat ------------------------------------------------------------------------------------------------ */

static int stat_handle(struct ros2d_call *call, uint64_t handle, struct ros2_attr *attr)
{
    struct ros2d_handle *h = ros2d_handles_get(call->state->handles, call->session, handle);

    if (!h)
        return ros2i_fail(EBADF, "stat: the handle is not open in this session");
    int rc = h->tenant->engine_ops->getattr(h->node, attr);
    ros2d_handles_put(call->state->handles, h);
    return rc;
}

static int stat_path(struct ros2d_call *call, const Ros2__V1__StatRequest *request,
                     struct ros2_attr *attr)
{
    const struct ros2d_tenant *tenant = call->principal.tenant;
    char path[ROS2D_PATH_MAX + 1];
    int rc = ros2d_path_take(request->path.data, request->path.len, path);

    return rc < 0 ? rc : tenant->engine_ops->stat(tenant->root, path, !request->nofollow, attr);
}

static int handle_stat(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Ros2__V1__StatRequest *request = message;
    Ros2__V1__StatResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    Ros2__V1__Attributes *attributes = ros2d_call_alloc(call, sizeof *attributes);
    struct ros2_attr attr;
    int rc;

    if (!reply || !attributes)
        return -ENOMEM;
    if (request->target_case == ROS2__V1__STAT_REQUEST__TARGET_HANDLE)
        rc = stat_handle(call, request->handle, &attr);
    else if (request->target_case == ROS2__V1__STAT_REQUEST__TARGET_PATH)
        rc = stat_path(call, request, &attr);
    else
        rc = ros2i_fail(EINVAL, "stat: neither a path nor a handle is given");
    if (rc < 0)
        return rc;
    ros2__v1__stat_response__init(reply);
    ros2d_attributes_fill(attributes, &attr);
    reply->attributes = attributes;
    *reply_p = &reply->base;
    return 0;
}

/* --- changes --------------------------------------------------------------------------------------------- */

/* A name to be changed: never the root itself. */
static int take_changing(const struct ros2d_call *call, const ProtobufCBinaryData *from,
                         char path[ROS2D_PATH_MAX + 1])
{
    int rc = ros2d_auth_may_write(call);

    if (rc == 0)
        rc = ros2d_path_take(from->data, from->len, path);
    if (rc == 0 && path[0] == '\0')
        rc = ros2i_fail(EBUSY, "/: the root itself cannot be changed");
    return rc;
}

static int handle_mkdir(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Ros2__V1__MkdirRequest *request = message;
    const struct ros2d_tenant *tenant = call->principal.tenant;
    Ros2__V1__MkdirResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    char path[ROS2D_PATH_MAX + 1];
    int rc = ros2d_path_check_mode(request->mode);

    if (rc == 0 && (rc = ros2d_auth_may_write(call)) == 0)
        rc = ros2d_path_take(request->path.data, request->path.len, path);
    if (rc == 0 && path[0] == '\0')
        rc = ros2i_fail(EEXIST, "mkdir /: the root is there");
    if (rc < 0 || !reply)
        return rc < 0 ? rc : -ENOMEM;
    ros2__v1__mkdir_response__init(reply);
    *reply_p = &reply->base;
    return tenant->engine_ops->mkdir(tenant->root, path, request->mode);
}

static int handle_unlink(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Ros2__V1__UnlinkRequest *request = message;
    const struct ros2d_tenant *tenant = call->principal.tenant;
    Ros2__V1__UnlinkResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    char path[ROS2D_PATH_MAX + 1];
    int rc = take_changing(call, &request->path, path);

    if (rc < 0 || !reply)
        return rc < 0 ? rc : -ENOMEM;
    ros2__v1__unlink_response__init(reply);
    *reply_p = &reply->base;
    if (request->directory)
        return tenant->engine_ops->rmdir(tenant->root, path);
    return tenant->engine_ops->unlink(tenant->root, path);
}

static int handle_rename(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Ros2__V1__RenameRequest *request = message;
    const struct ros2d_tenant *tenant = call->principal.tenant;
    Ros2__V1__RenameResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    char from[ROS2D_PATH_MAX + 1], to[ROS2D_PATH_MAX + 1];
    int rc = take_changing(call, &request->from, from);

    if (rc == 0)
        rc = take_changing(call, &request->to, to);
    if (rc < 0 || !reply)
        return rc < 0 ? rc : -ENOMEM;
    ros2__v1__rename_response__init(reply);
    *reply_p = &reply->base;
    return tenant->engine_ops->rename(tenant->root, from, to);
}

/* --- table ----------------------------------------------------------------------------------------------- */

static const Ros2__V1__RequestId *open_many_id(const void *message)
{
    return ((const Ros2__V1__OpenManyRequest *)message)->request_id;
}

static const Ros2__V1__RequestId *close_many_id(const void *message)
{
    return ((const Ros2__V1__CloseManyRequest *)message)->request_id;
}

static const Ros2__V1__RequestId *mkdir_id(const void *message)
{
    return ((const Ros2__V1__MkdirRequest *)message)->request_id;
}

static const Ros2__V1__RequestId *unlink_id(const void *message)
{
    return ((const Ros2__V1__UnlinkRequest *)message)->request_id;
}

static const Ros2__V1__RequestId *rename_id(const void *message)
{
    return ((const Ros2__V1__RenameRequest *)message)->request_id;
}

const struct ros2d_method ros2d_namespace_methods[] = {
    {.path = "/ros2.v1.Namespace/OpenMany",
     .request = &ros2__v1__open_many_request__descriptor,
     .handle = handle_open_many,
     .request_id = open_many_id},
    {.path = "/ros2.v1.Namespace/CloseMany",
     .request = &ros2__v1__close_many_request__descriptor,
     .handle = handle_close_many,
     .request_id = close_many_id},
    {.path = "/ros2.v1.Namespace/Stat",
     .request = &ros2__v1__stat_request__descriptor,
     .handle = handle_stat},
    {.path = "/ros2.v1.Namespace/Mkdir",
     .request = &ros2__v1__mkdir_request__descriptor,
     .handle = handle_mkdir,
     .request_id = mkdir_id},
    {.path = "/ros2.v1.Namespace/Unlink",
     .request = &ros2__v1__unlink_request__descriptor,
     .handle = handle_unlink,
     .request_id = unlink_id},
    {.path = "/ros2.v1.Namespace/Rename",
     .request = &ros2__v1__rename_request__descriptor,
     .handle = handle_rename,
     .request_id = rename_id},
    {.path = "/ros2.v1.Namespace/List",
     .request = &ros2__v1__list_request__descriptor,
     .handle = ros2d_list_handle,
     .next = ros2d_list_next,
     .end = ros2d_list_end},
    {0},
};
