/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories by name. Counts and lengths in replies are checked before they are used. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/escape.h"
#include "lib/control/attributes.h"
#include "lib/control/call.h"
#include "lib/control/control.h"
#include "ros2/v1/namespace.pb-c.h"

#define ITEMS_MAX 4096u
/* Of the paths in one OpenMany: well below the daemon's limit of 4 MiB for a message. */
#define PATH_BYTES_MAX (2u << 20)

static ProtobufCBinaryData bytes_of(const char *path)
{
    return (ProtobufCBinaryData){.len = strlen(path), .data = (uint8_t *)(uintptr_t)path};
}

static int wrong_count(const struct ros2i_control *control, const char *method)
{
    return ros2i_fail(EPROTO, "%s %s: as many results as requests were expected", control->peer,
                      method);
}

/* --- open many ------------------------------------------------------------------------------------------- */

static void take_result(const Ros2__V1__OpenResult *result, struct ros2i_open_item *item)
{
    if (result->error) {
        item->err = -ros2i_errno_received(result->error->err);
        ros2i_escape(item->error_text, sizeof item->error_text, result->error->message);
        return;
    }
    item->err = 0;
    item->error_text[0] = '\0';
    item->capability =
        (struct ros2i_capability){.handle = result->handle, .rights = result->rights};
    item->attr = ros2i_attributes_take(result->attributes);
}

/* Requests are built in one allocation: messages, then the pointers to them. */
static int open_chunk(struct ros2i_control *control, struct ros2i_open_item *items, size_t count,
                      uint64_t deadline_ns)
{
    Ros2__V1__OpenManyRequest request;
    Ros2__V1__RequestId id;
    uint8_t id_nonce[ROS2I_NONCE_LEN];
    ros2__v1__open_many_request__init(&request);
    int rc = ros2i_call_request_id(control, &id, id_nonce);

    if (rc < 0)
        return rc;
    Ros2__V1__OpenItem *item = malloc(count * (sizeof *item + sizeof(Ros2__V1__OpenItem *)));
    if (!item)
        return ros2i_fail(ENOMEM, "no memory to open %zu files", count);
    request.items = (Ros2__V1__OpenItem **)(item + count);
    request.n_items = count;
    request.request_id = &id;
    unsigned changes = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].open_flags & (ROS2_OPEN_CREATE | ROS2_OPEN_TRUNCATE))
            changes = ROS2I_CALL_CHANGES;
        ros2__v1__open_item__init(&item[i]);
        item[i].path = bytes_of(items[i].path);
        item[i].flags = items[i].open_flags;
        item[i].mode = items[i].mode;
        request.items[i] = &item[i];
    }
    struct ros2i_call call = {.method = "/ros2.v1.Namespace/OpenMany",
                              .flags = ROS2I_CALL_RETRY | changes,
                              .request = &request.base,
                              .reply_type = &ros2__v1__open_many_response__descriptor,
                              .deadline_ns = deadline_ns};
    rc = ros2i_call_run(control, &call);
    if (rc < 0)
        goto free_item;
    Ros2__V1__OpenManyResponse *reply = call.reply[0];
    if (reply->n_results == count) {
        for (size_t i = 0; i < count; i++)
            take_result(reply->results[i], &items[i]);
    } else {
        rc = wrong_count(control, call.method);
    }
    ros2i_call_free(&call);
free_item:
    free(item);
    return rc;
}

/* How many of the items fit into one message; at least one. */
static size_t chunk_len(const struct ros2i_open_item *items, size_t count)
{
    size_t n = 0, bytes = 0;

    while (n < count) {
        bytes += strlen(items[n].path);
        if (n > 0 && bytes > PATH_BYTES_MAX)
            break;
        n++;
    }
    return n;
}

int ros2i_control_open_many(struct ros2i_control *control, struct ros2i_open_item *items,
                            size_t count, uint64_t deadline_ns)
{
    size_t done = 0;
    int rc = 0;

    if (count == 0 || count > ITEMS_MAX)
        return ros2i_fail(EINVAL, "%zu files to open at once; 1 to %u are allowed", count,
                          ITEMS_MAX);
    while (done < count && rc == 0) {
        size_t n = chunk_len(items + done, count - done);

        rc = open_chunk(control, items + done, n, deadline_ns);
        if (rc == 0)
            done += n;
    }
    if (rc < 0 && done == 0)
        return rc;
    /* Some are open already, and the caller has to know which. */
    for (size_t i = done; i < count; i++) {
        items[i].err = rc;
        snprintf(items[i].error_text, sizeof items[i].error_text, "%.250s", ros2i_error());
    }
    return 0;
}

int ros2i_control_close_many(struct ros2i_control *control, const uint64_t *handles, size_t count,
                             int *errs, uint64_t deadline_ns)
{
    Ros2__V1__CloseManyRequest request;
    Ros2__V1__RequestId id;
    uint8_t id_nonce[ROS2I_NONCE_LEN];

    ros2__v1__close_many_request__init(&request);
    if (count == 0 || count > ITEMS_MAX)
        return ros2i_fail(EINVAL, "%zu files to close at once; 1 to %u are allowed", count,
                          ITEMS_MAX);
    int rc = ros2i_call_request_id(control, &id, id_nonce);
    if (rc < 0)
        return rc;
    request.handles = (uint64_t *)(uintptr_t)handles;
    request.n_handles = count;
    request.request_id = &id;
    struct ros2i_call call = {.method = "/ros2.v1.Namespace/CloseMany",
                              .flags = ROS2I_CALL_RETRY,
                              .request = &request.base,
                              .reply_type = &ros2__v1__close_many_response__descriptor,
                              .deadline_ns = deadline_ns};
    rc = ros2i_call_run(control, &call);
    if (rc < 0)
        return rc;
    Ros2__V1__CloseManyResponse *reply = call.reply[0];
    if (reply->n_errnos != count)
        rc = wrong_count(control, call.method);
    for (size_t i = 0; rc == 0 && errs && i < count; i++)
        errs[i] = reply->errnos[i] == 0 ? 0 : -ros2i_errno_received(reply->errnos[i]);
    ros2i_call_free(&call);
    return rc;
}

/* --- one name -------------------------------------------------------------------------------------------- */

static int run_stat(struct ros2i_control *control, Ros2__V1__StatRequest *request,
                    uint64_t deadline_ns, struct ros2_attr *attr)
{
    struct ros2i_call call = {.method = "/ros2.v1.Namespace/Stat",
                              .flags = ROS2I_CALL_RETRY,
                              .request = &request->base,
                              .reply_type = &ros2__v1__stat_response__descriptor,
                              .deadline_ns = deadline_ns};
    int rc = ros2i_call_run(control, &call);

    if (rc < 0)
        return rc;
    const Ros2__V1__Attributes *attributes = ((Ros2__V1__StatResponse *)call.reply[0])->attributes;
    if (attributes)
        *attr = ros2i_attributes_take(attributes);
    else
        rc = ros2i_fail(EPROTO, "%s %s: an answer without attributes", control->peer, call.method);
    ros2i_call_free(&call);
    return rc;
}

int ros2i_control_stat(struct ros2i_control *control, const char *path, bool nofollow,
                       uint64_t deadline_ns, struct ros2_attr *attr)
{
    Ros2__V1__StatRequest request;

    ros2__v1__stat_request__init(&request);
    request.target_case = ROS2__V1__STAT_REQUEST__TARGET_PATH;
    request.path = bytes_of(path);
    request.nofollow = nofollow;
    return run_stat(control, &request, deadline_ns, attr);
}

int ros2i_control_fstat(struct ros2i_control *control, uint64_t handle, uint64_t deadline_ns,
                        struct ros2_attr *attr)
{
    Ros2__V1__StatRequest request;

    ros2__v1__stat_request__init(&request);
    request.target_case = ROS2__V1__STAT_REQUEST__TARGET_HANDLE;
    request.handle = handle;
    return run_stat(control, &request, deadline_ns, attr);
}

static int run_change(struct ros2i_control *control, const char *method,
                      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
                      uint64_t deadline_ns)
{
    struct ros2i_call call = {.method = method,
                              .flags = ROS2I_CALL_RETRY | ROS2I_CALL_CHANGES,
                              .request = request,
                              .reply_type = reply_type,
                              .deadline_ns = deadline_ns};
    int rc = ros2i_call_run(control, &call);

    if (rc == 0)
        ros2i_call_free(&call);
    return rc;
}

int ros2i_control_mkdir(struct ros2i_control *control, const char *path, uint32_t mode,
                        uint64_t deadline_ns)
{
    Ros2__V1__MkdirRequest request;
    Ros2__V1__RequestId id;
    uint8_t id_nonce[ROS2I_NONCE_LEN];
    ros2__v1__mkdir_request__init(&request);
    int rc = ros2i_call_request_id(control, &id, id_nonce);

    if (rc < 0)
        return rc;
    request.path = bytes_of(path);
    request.mode = mode;
    request.request_id = &id;
    return run_change(control, "/ros2.v1.Namespace/Mkdir", &request.base,
                      &ros2__v1__mkdir_response__descriptor, deadline_ns);
}

int ros2i_control_unlink(struct ros2i_control *control, const char *path, bool directory,
                         uint64_t deadline_ns)
{
    Ros2__V1__UnlinkRequest request;
    Ros2__V1__RequestId id;
    uint8_t id_nonce[ROS2I_NONCE_LEN];
    ros2__v1__unlink_request__init(&request);
    int rc = ros2i_call_request_id(control, &id, id_nonce);

    if (rc < 0)
        return rc;
    request.path = bytes_of(path);
    request.directory = directory;
    request.request_id = &id;
    return run_change(control, "/ros2.v1.Namespace/Unlink", &request.base,
                      &ros2__v1__unlink_response__descriptor, deadline_ns);
}

int ros2i_control_rename(struct ros2i_control *control, const char *from, const char *to,
                         uint64_t deadline_ns)
{
    Ros2__V1__RenameRequest request;
    Ros2__V1__RequestId id;
    uint8_t id_nonce[ROS2I_NONCE_LEN];
    ros2__v1__rename_request__init(&request);
    int rc = ros2i_call_request_id(control, &id, id_nonce);

    if (rc < 0)
        return rc;
    request.from = bytes_of(from);
    request.to = bytes_of(to);
    request.request_id = &id;
    return run_change(control, "/ros2.v1.Namespace/Rename", &request.base,
                      &ros2__v1__rename_response__descriptor, deadline_ns);
}
