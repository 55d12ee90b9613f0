/* SPDX-License-Identifier: Apache-2.0 */
/* Transport shm: what it offers. docs/PROTOCOL-shm.md says what two processes share. Owner: none, constants. */
#include "config.h"

#include "transports/shm/plugin.h"

#include "transports/shm/domain.h"
#include "transports/shm/endpoint.h"
#include "transports/shm/linger.h"
#include "transports/shm/listener.h"
#include "transports/shm/peer.h"
#include "transports/shm/region.h"
#include "transports/shm/rma.h"

static const struct ros2_transport_ops ops = {
    .abi = ROS2_TRANSPORT_ABI,
    .flags = ROS2_TRANSPORT_TOKENS | ROS2_TRANSPORT_MAP_PEER,
    .size = sizeof ops,
    .name = "shm",
    .domain_open = shm_domain_open,
    .domain_close = shm_domain_close,
    .domain_fd = shm_domain_fd,
    .domain_arm = shm_domain_arm,
    .progress = shm_progress,
    .listen = shm_listen,
    .listener_address = shm_listener_address,
    .listener_pause = shm_listener_pause,
    .listener_close = shm_listener_close,
    .connect = shm_connect,
    .ep_set_handler = shm_ep_set_handler,
    .ep_peer = shm_ep_peer,
    .ep_close = shm_ep_close,
    .ep_abort = shm_ep_abort,
    .region_register = shm_region_register,
    .region_deregister = shm_region_deregister,
    .region_pack = shm_region_pack,
    .region_token = shm_region_token,
    .rkey_import = shm_rkey_import,
    .rkey_release = shm_rkey_release,
    .send = shm_send,
    .put = shm_put,
    .get = shm_get,
    .flush = shm_flush,
    .domain_lingering = shm_domain_lingering,
    .region_map = shm_region_map,
    .region_unmap = shm_region_unmap,
    .domain_lend = shm_domain_lend,
    .domain_wake = shm_domain_wake,
};

const struct ros2_transport_ops *ros2_transport_plugin(void)
{
    return &ops;
}
