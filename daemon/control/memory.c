/* SPDX-License-Identifier: Apache-2.0 */
/* Memory.Register and Unregister. The table of regions is daemon/tenant's; here requests are checked against what the
 * data plane serves. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "daemon/control/service.h"
#include "lib/base/error.h"
#include "ros2/v1/memory.pb-c.h"

#define KINDS_MAX 1u /* CUDA */
#define RIGHTS    (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

static bool is_served(const struct ros2d_state *state, const char *transport)
{
    for (uint32_t i = 0; i < state->endpoint_count; i++) {
        if (strcmp(state->endpoint[i].transport, transport) == 0)
            return true;
    }
    return false;
}

/* The first key for a transport that is served. */
static int take_key(const struct ros2d_state *state, const Ros2__V1__RegisterRequest *request,
                    struct ros2d_region *region)
{
    for (size_t i = 0; i < request->n_keys; i++) {
        const Ros2__V1__TransportKey *key = request->keys[i];

        if (strlen(key->transport) >= sizeof region->transport || !is_served(state, key->transport))
            continue;
        if (key->key.len > ROS2_TRANSPORT_KEY_MAX)
            return ros2i_fail(EINVAL,
                              "register: the key for %s has %zu bytes; at most %d are allowed",
                              key->transport, key->key.len, ROS2_TRANSPORT_KEY_MAX);
        strcpy(region->transport, key->transport);
        if (key->key.len > 0)
            memcpy(region->key, key->key.data, key->key.len);
        region->key_len = (uint32_t)key->key.len;
        return 0;
    }
    return ros2i_fail(EPROTONOSUPPORT, "register: no key for a transport that is served here");
}

static int take_region(const struct ros2d_state *state, const Ros2__V1__RegisterRequest *request,
                       struct ros2d_region *region)
{
    if (request->process_nonce.len != ROS2I_NONCE_LEN)
        return ros2i_fail(EINVAL, "register: process nonce of %zu bytes; it must have %d",
                          request->process_nonce.len, ROS2I_NONCE_LEN);
    if (request->length == 0 || request->length > INT64_MAX)
        return ros2i_fail(EINVAL, "register: a region of %llu bytes",
                          (unsigned long long)request->length);
    if (request->kind > KINDS_MAX)
        return ros2i_fail(EINVAL, "register: memory kind %u is unknown", request->kind);
    if (request->rights == 0 || (request->rights & ~(uint32_t)RIGHTS))
        return ros2i_fail(
            EINVAL, "register: rights %#x; 1 (daemon reads), 2 (daemon writes) or both are allowed",
            request->rights);
    memcpy(region->process_nonce, request->process_nonce.data, ROS2I_NONCE_LEN);
    region->queue = request->queue;
    region->len = request->length;
    region->kind = request->kind;
    region->rights = request->rights;
    return take_key(state, request, region);
}

static int handle_register(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    struct ros2d_region region = {0};
    Ros2__V1__RegisterResponse *reply = ros2d_call_alloc(call, sizeof *reply);
    int rc = take_region(call->state, message, &region);

    if (rc < 0 || !reply)
        return rc < 0 ? rc : -ENOMEM;
    ros2__v1__register_response__init(reply);
    *reply_p = &reply->base;
    return ros2d_regions_register(call->state->regions, call->session, &region, &reply->region_id);
}

/* Waits on this thread; data threads count themselves out without its help. */
static int wait_unused(struct ros2d_call *call, uint64_t id)
{
    struct ros2d_regions *regions = call->state->regions;
    int rc = ros2d_regions_wait_unused(regions, id, 0);

    if (rc != -ETIMEDOUT)
        return rc;
    rc = ros2d_server_may_wait(call->server);
    return rc < 0 ? rc : ros2d_regions_wait_unused(regions, id, call->deadline_ns);
}

static int handle_unregister(struct ros2d_call *call, const void *message,
                             ProtobufCMessage **reply_p)
{
    const Ros2__V1__UnregisterRequest *request = message;
    Ros2__V1__UnregisterResponse *reply = ros2d_call_alloc(call, sizeof *reply);

    if (!reply)
        return -ENOMEM;
    int rc = ros2d_regions_revoke(call->state->regions, call->session, request->region_id);
    if (rc < 0)
        return rc;
    ros2__v1__unregister_response__init(reply);
    *reply_p = &reply->base;
    rc = wait_unused(call, request->region_id);
    call->again = rc == -EAGAIN;
    call->unkept =
        rc == -ETIMEDOUT; /* the region goes on being revoked: a later call may see its end */
    return rc;
}

static const Ros2__V1__RequestId *register_id(const void *message)
{
    return ((const Ros2__V1__RegisterRequest *)message)->request_id;
}

static const Ros2__V1__RequestId *unregister_id(const void *message)
{
    return ((const Ros2__V1__UnregisterRequest *)message)->request_id;
}

const struct ros2d_method ros2d_memory_methods[] = {
    {.path = "/ros2.v1.Memory/Register",
     .request = &ros2__v1__register_request__descriptor,
     .handle = handle_register,
     .request_id = register_id},
    {.path = "/ros2.v1.Memory/Unregister",
     .request = &ros2__v1__unregister_request__descriptor,
     .handle = handle_unregister,
     .request_id = unregister_id},
    {0},
};
