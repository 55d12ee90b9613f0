/* SPDX-License-Identifier: Apache-2.0 */
/* Transport tcp: what it offers. docs/PROTOCOL-tcp.md says what it puts on the wire. Owner: none, constants. */
#include "config.h"

#include "transports/tcp/plugin.h"

#include "transports/tcp/domain.h"
#include "transports/tcp/endpoint.h"
#include "transports/tcp/linger.h"
#include "transports/tcp/listener.h"
#include "transports/tcp/region.h"
#include "transports/tcp/rma.h"

static const struct ros2_transport_ops ops = {
    .abi = ROS2_TRANSPORT_ABI,
    .flags = ROS2_TRANSPORT_TOKENS | ROS2_TRANSPORT_REVOKES,
    .size = sizeof ops,
    .name = "tcp",
    .domain_open = tcp_domain_open,
    .domain_close = tcp_domain_close,
    .domain_fd = tcp_domain_fd,
    .domain_arm = tcp_domain_arm,
    .progress = tcp_progress,
    .listen = tcp_listen,
    .listener_address = tcp_listener_address,
    .listener_pause = tcp_listener_pause,
    .listener_close = tcp_listener_close,
    .connect = tcp_connect,
    .ep_set_handler = tcp_ep_set_handler,
    .ep_peer = tcp_ep_peer,
    .ep_close = tcp_ep_close,
    .ep_abort = tcp_ep_abort,
    .region_register = tcp_region_register,
    .region_deregister = tcp_region_deregister,
    .region_pack = tcp_region_pack,
    .region_token = tcp_region_token,
    .rkey_import = tcp_rkey_import,
    .rkey_release = tcp_rkey_release,
    .send = tcp_send,
    .put = tcp_put,
    .get = tcp_get,
    .flush = tcp_flush,
    .domain_lingering = tcp_domain_lingering,
    .domain_lend = tcp_domain_lend,
    .domain_wake = tcp_domain_wake,
};

const struct ros2_transport_ops *ros2_transport_plugin(void)
{
    return &ops;
}
