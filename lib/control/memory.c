/* SPDX-License-Identifier: Apache-2.0 */
/* Registered memory. Both calls carry a request id: a repeated Unregister waits for the first one's end, so that its
 * answer always means that nothing of the region is in flight. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/control/call.h"
#include "lib/control/control.h"
#include "ros2/transport.h"
#include "ros2/v1/memory.pb-c.h"

int ros2i_control_register(struct ros2i_control *control, const uint8_t nonce[ROS2I_NONCE_LEN],
                           uint32_t queue, uint64_t len, uint32_t kind, uint32_t rights,
                           const char *transport, const void *key, size_t key_len,
                           uint64_t deadline_ns, uint64_t *region_id_p)
{
    Ros2__V1__RegisterRequest request;
    Ros2__V1__TransportKey transport_key, *keys[] = {&transport_key};
    Ros2__V1__RequestId id;
    uint8_t id_nonce[ROS2I_NONCE_LEN];

    ros2__v1__register_request__init(&request);
    ros2__v1__transport_key__init(&transport_key);
    if (key_len > ROS2_TRANSPORT_KEY_MAX)
        return ros2i_fail(EINVAL,
                          "transport %s: a region's key of %zu bytes; at most %d are allowed",
                          transport, key_len, ROS2_TRANSPORT_KEY_MAX);
    int rc = ros2i_call_request_id(control, &id, id_nonce);
    if (rc < 0)
        return rc;
    transport_key.transport = (char *)(uintptr_t)transport;
    transport_key.key = (ProtobufCBinaryData){.len = key_len, .data = (uint8_t *)(uintptr_t)key};
    request.process_nonce =
        (ProtobufCBinaryData){.len = ROS2I_NONCE_LEN, .data = (uint8_t *)(uintptr_t)nonce};
    request.queue = queue;
    request.length = len;
    request.kind = kind;
    request.rights = rights;
    request.keys = keys;
    request.n_keys = 1;
    request.request_id = &id;
    struct ros2i_call call = {.method = "/ros2.v1.Memory/Register",
                              .flags = ROS2I_CALL_RETRY,
                              .request = &request.base,
                              .reply_type = &ros2__v1__register_response__descriptor,
                              .deadline_ns = deadline_ns};
    rc = ros2i_call_run(control, &call);
    if (rc < 0)
        return rc;
    *region_id_p = ((Ros2__V1__RegisterResponse *)call.reply[0])->region_id;
    ros2i_call_free(&call);
    return 0;
}

int ros2i_control_unregister(struct ros2i_control *control, uint64_t region_id,
                             uint64_t deadline_ns)
{
    Ros2__V1__UnregisterRequest request;
    Ros2__V1__RequestId id;
    uint8_t id_nonce[ROS2I_NONCE_LEN];
    ros2__v1__unregister_request__init(&request);
    int rc = ros2i_call_request_id(control, &id, id_nonce);

    if (rc < 0)
        return rc;
    request.region_id = region_id;
    request.request_id = &id;
    struct ros2i_call call = {.method = "/ros2.v1.Memory/Unregister",
                              .flags = ROS2I_CALL_RETRY,
                              .request = &request.base,
                              .reply_type = &ros2__v1__unregister_response__descriptor,
                              .deadline_ns = deadline_ns};
    rc = ros2i_call_run(control, &call);
    if (rc == 0)
        ros2i_call_free(&call);
    return rc;
}
